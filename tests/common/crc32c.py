# SPDX-License-Identifier: BSD-3-Clause
"""CRC-32C of a superblock, a bit at a time: slow, plain, and nothing to do with the library's."""


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF
