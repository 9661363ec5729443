/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crc24-x86.c - the check value by carry-less multiplication: PCLMULQDQ, and VPCLMULQDQ of 512 bits.
 *
 * A word of 64 bits stands for a polynomial over GF(2) whose highest coefficient is bit 0; 128 bits for
 * low(x) * x^64 + high(x).  A product of two words comes out multiplied by x once too often, so where it is to
 * be multiplied by x^n the factor is x^(n - 1).
 *
 * To *fold* by n bits is to replace what stands n bits before something by what is congruent to it there
 * modulo the polynomial P: low * (x^(n + 64) mod P) + high * (x^n mod P).  Several accumulators, each of which
 * takes every so manieth piece of the page, hide how long a multiplication takes; in the end they are
 * folded into the last, what stands before the page into it, too, and finish() takes the rest modulo P.
 */
#include "config.h"

#ifdef __x86_64__

#include <immintrin.h>

#include "media/crc24.h"
#include "media/layout.h"

#define ALWAYS_INLINE __attribute__((always_inline))
#define PCLMUL	      __attribute__((target("pclmul,sse4.1")))
#define VPCLMUL	      __attribute__((target("vpclmulqdq,pclmul,avx512f,avx512vl,avx512dq,sse4.1")))

/* To fold by so many bits: x^(n + 64 - 1) mod P, x^(n - 1) mod P. */
static const uint64_t by_128[2] = { 0xa7cc590000000000, 0xb7848c0000000000 };
static const uint64_t by_512[2] = { 0x75bdf90000000000, 0xf85b7c0000000000 };
static const uint64_t by_1024[2] = { 0x1398a80000000000, 0x789ef60000000000 };
static const uint64_t by_2048[2] = { 0x8733860000000000, 0xb451780000000000 };
static const uint64_t by_page[2] = { 0xb68ea60000000000, 0x11f6e30000000000 };

/* x^63 mod P; the quotient x^88 / P without its x^64; P without its x^24. */
#define X63	 0xc7ca1b0000000000
#define QUOTIENT 0x25b424c9247fa21f
#define P	 0xdf32610000000000

enum mode { ONLY, COPY, STREAM };

static inline ALWAYS_INLINE PCLMUL __m128i multiply(__m128i a, __m128i b)
{
	return _mm_clmulepi64_si128(a, b, 0x00);
}

static inline ALWAYS_INLINE PCLMUL __m128i word(uint64_t value)
{
	return _mm_cvtsi64_si128((long long)value);
}

/* The two products of a fold. */
static inline ALWAYS_INLINE PCLMUL __m128i fold(__m128i a, const uint64_t by[2])
{
	__m128i k = _mm_loadu_si128((const __m128i *)(const void *)by);

	return _mm_xor_si128(_mm_clmulepi64_si128(a, k, 0x00), _mm_clmulepi64_si128(a, k, 0x11));
}

/* low * x^64 + high, with low folded into high. */
static inline ALWAYS_INLINE PCLMUL __m128i fold_low(__m128i a)
{
	__m128i high = _mm_and_si128(a, _mm_set_epi64x(-1, 0));

	return _mm_xor_si128(multiply(a, word(X63)), high);
}

/* The last 128 bits, into which all before them has been folded, times x^24 modulo P. */
static inline ALWAYS_INLINE PCLMUL uint32_t finish(__m128i last, struct crc24_prefix prefix)
{
	__m128i before = _mm_set_epi64x((long long)prefix.block, (long long)prefix.family);
	uint64_t rest, quotient, remainder;

	last = _mm_xor_si128(last, fold(before, by_page));
	/* Twice: the first leaves 24 bits of it low. */
	last = fold_low(fold_low(last));
	rest = (uint64_t)_mm_extract_epi64(last, 1);
	/* Barrett: floor(rest * x^24 / P), and what P times that leaves below x^24. */
	quotient = rest ^ (uint64_t)_mm_cvtsi128_si64(multiply(word(rest), word(QUOTIENT))) << 1;
	remainder = (uint64_t)_mm_extract_epi64(multiply(word(quotient), word(P)), 1);
	return remainder >> 39 & 0xffffff;
}

/* ---- PCLMULQDQ ------------------------------------------------------------------------------ */

static inline ALWAYS_INLINE PCLMUL __m128i take_128(uint8_t *dst, const uint8_t *src,
						    unsigned int at, enum mode mode)
{
	__m128i piece = _mm_loadu_si128((const __m128i *)(const void *)(src + at));

	/* Stored and counted is what was loaded here, also if it is another in a moment. */
	__asm__ volatile("" : "+x"(piece));
	if (mode == COPY)
		_mm_storeu_si128((__m128i *)(void *)(dst + at), piece);
	else if (mode == STREAM)
		_mm_stream_si128((__m128i *)(void *)(dst + at), piece);
	return piece;
}

static inline ALWAYS_INLINE PCLMUL uint32_t run_128(struct crc24_prefix prefix, uint8_t *dst,
						    const uint8_t *src, enum mode mode)
{
	__m128i sum[8];

	for (unsigned int i = 0; i < 8; i++)
		sum[i] = take_128(dst, src, 16 * i, mode);
	for (unsigned int at = 128; at < LAYOUT_PAGE_SIZE; at += 128)
		for (unsigned int i = 0; i < 8; i++)
			sum[i] = _mm_xor_si128(fold(sum[i], by_1024),
					       take_128(dst, src, at + 16 * i, mode));
	for (unsigned int i = 1; i < 8; i++)
		sum[i] = _mm_xor_si128(sum[i], fold(sum[i - 1], by_128));
	return finish(sum[7], prefix);
}

static PCLMUL uint32_t pclmul_page(struct crc24_prefix prefix, const void *page)
{
	return run_128(prefix, NULL, page, ONLY);
}

static PCLMUL uint32_t pclmul_copy(struct crc24_prefix prefix, void *dst, const void *src)
{
	return run_128(prefix, dst, src, COPY);
}

static PCLMUL uint32_t pclmul_stream(struct crc24_prefix prefix, void *dst, const void *src)
{
	return run_128(prefix, dst, src, STREAM);
}

const struct crc24_way crc24_pclmul = { "pclmulqdq", pclmul_page, pclmul_copy, pclmul_stream };

bool crc24_has_pclmul(void)
{
	return __builtin_cpu_supports("pclmul") && __builtin_cpu_supports("sse4.1");
}

/* ---- VPCLMULQDQ ----------------------------------------------------------------------------- */

static inline ALWAYS_INLINE VPCLMUL __m512i take_512(uint8_t *dst, const uint8_t *src,
						     unsigned int at, enum mode mode)
{
	__m512i piece = _mm512_loadu_si512(src + at);

	/* As in take_128(). */
	__asm__ volatile("" : "+v"(piece));
	if (mode == COPY)
		_mm512_storeu_si512(dst + at, piece);
	else if (mode == STREAM)
		_mm512_stream_si512((void *)(dst + at), piece);
	return piece;
}

/* Four folds at once, and what they are folded into: 0x96 is the exclusive or of three. */
static inline ALWAYS_INLINE VPCLMUL __m512i fold_512(__m512i a, __m512i by, __m512i into)
{
	return _mm512_ternarylogic_epi64(_mm512_clmulepi64_epi128(a, by, 0x00),
					 _mm512_clmulepi64_epi128(a, by, 0x11), into, 0x96);
}

static inline ALWAYS_INLINE VPCLMUL __m512i four(const uint64_t by[2])
{
	return _mm512_broadcast_i32x4(_mm_loadu_si128((const __m128i *)(const void *)by));
}

static inline ALWAYS_INLINE VPCLMUL uint32_t run_512(struct crc24_prefix prefix, uint8_t *dst,
						     const uint8_t *src, enum mode mode)
{
	__m512i sum[4], by = four(by_2048);
	__m128i part[4];

	for (unsigned int i = 0; i < 4; i++)
		sum[i] = take_512(dst, src, 64 * i, mode);
	for (unsigned int at = 256; at < LAYOUT_PAGE_SIZE; at += 256)
		for (unsigned int i = 0; i < 4; i++)
			sum[i] = fold_512(sum[i], by, take_512(dst, src, at + 64 * i, mode));
	by = four(by_512);
	for (unsigned int i = 1; i < 4; i++)
		sum[i] = fold_512(sum[i - 1], by, sum[i]);
	part[0] = _mm512_extracti32x4_epi32(sum[3], 0);
	part[1] = _mm512_extracti32x4_epi32(sum[3], 1);
	part[2] = _mm512_extracti32x4_epi32(sum[3], 2);
	part[3] = _mm512_extracti32x4_epi32(sum[3], 3);
	for (unsigned int i = 1; i < 4; i++)
		part[i] = _mm_xor_si128(part[i], fold(part[i - 1], by_128));
	return finish(part[3], prefix);
}

static VPCLMUL uint32_t vpclmul_page(struct crc24_prefix prefix, const void *page)
{
	return run_512(prefix, NULL, page, ONLY);
}

static VPCLMUL uint32_t vpclmul_copy(struct crc24_prefix prefix, void *dst, const void *src)
{
	return run_512(prefix, dst, src, COPY);
}

static VPCLMUL uint32_t vpclmul_stream(struct crc24_prefix prefix, void *dst, const void *src)
{
	return run_512(prefix, dst, src, STREAM);
}

const struct crc24_way crc24_vpclmul = { "vpclmulqdq", vpclmul_page, vpclmul_copy, vpclmul_stream };

bool crc24_has_vpclmul(void)
{
	return crc24_has_pclmul() && __builtin_cpu_supports("vpclmulqdq") &&
	       __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
	       __builtin_cpu_supports("avx512dq");
}

#endif /* __x86_64__ */
