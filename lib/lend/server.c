/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * server.c - the lending server: one thread, a UNIX socket, borrowers.
 *
 * The thread owns all that is said and who has what (loans.c).  It takes pool->lock for moments
 * only, and never waits for a borrower: a packet that a borrower does not take is the end of its
 * connection, and what a connection says that the protocol does not know likewise.  Its end makes
 * nothing free: the kernel's locks do (loans.h).
 *
 * A borrower that finds no whole zone can wait for one; the mover (compaction.c) then makes some.  One that
 * does not wait is counted as wanting for another moment, so that its next try succeeds.
 *
 * When the disk wants memory back, the keeper leaves a note (struct lender) and wakes this thread, which
 * asks every borrower for its share.
 */
#include "config.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include <uuid/uuid.h>

#include "base/deadline.h"
#include "base/error.h"
#include "base/thread.h"
#include "lend/protocol.h"
#include "lend/lending.h"
#include "lend/server.h"
#include "lend/talk.h"
#include "pages/recall.h"

/*
 * How often watched zones are looked at, and waiting borrowers' time: at first, and when it has been
 * doubled again and again because nothing became free and nobody wanted it.
 */
#define LOOK_MS	     20
#define LOOK_MOST_MS 640
/* A borrower that did not want to wait is counted as wanting for so long. */
#define EAGER_MS 500
/*
 * Zones made whole when one is wanted: who wants one soon wants another, and one walk over the map
 * serves them all.
 */
#define AHEAD 16
/* How often, and how many, loans are audited. */
#define AUDIT_MS    1000
#define AUDIT_COUNT 256

/* What epoll tells of that is no peer. */
#define TOKEN_LISTENER UINT64_MAX
#define TOKEN_EVENT    (UINT64_MAX - 1)

static void wake(struct lending *lending)
{
	uint64_t one = 1;

	/* Fails only when the counter is full, and then the thread is awake. */
	if (write(lending->event, &one, sizeof(one)) == -1)
		return;
}

static void wake_up(void *opaque)
{
	wake(opaque);
}

/* ---- borrowers ------------------------------------------------------------------------------ */

/* Answer a borrower with a zone, or why there is none.  -ENOMEM is for the caller to answer. */
static int try_lend(struct lending *lending, int number)
{
	struct lend_message message = { .version = LEND_VERSION,
					.kind = LEND_ZONE,
					.length = ZONE_BYTES };
	struct peer *peer = lending->peers[number];
	struct lent_zone zone = { .fd = -1 };
	int rc = -EDQUOT;

	if (peer->owner.zones < lending->limit)
		rc = loans_lend(&lending->loans, &peer->owner, &zone);
	if (rc == -ENOMEM)
		return rc;
	message.status = rc;
	message.offset = zone.offset;
	message.value = zone.start;
	peer->waiting = false;
	/* If it cannot be said the peer is dropped, and with the descriptor the zone is free. */
	talk_say(lending, number, &message, zone.fd, NULL);
	if (rc == 0)
		close(zone.fd);
	return 0;
}

static void refuse(struct lending *lending, int number)
{
	talk_refuse(lending, number, lending->pace.limited ? -EBUSY : -ENOMEM);
}

/* Each of those who wait gets one in turn; true if there was none for somebody. */
static bool serve_in_turn(struct lending *lending)
{
	for (int i = 0; i < lending->peer_count; i++) {
		int number = (lending->turn + i) % lending->peer_count;

		if (lending->peers[number] == NULL || !lending->peers[number]->waiting)
			continue;
		if (!pace_allows(&lending->pace) || try_lend(lending, number) != 0) {
			lending->turn = number;
			return true;
		}
	}
	return false;
}

/* Serve those who wait, refuse those whose time is over, and say how many zones are wanted. */
static void serve_waiting(struct lending *lending)
{
	struct pool *pool = &lending->h->pool;
	bool short_of = serve_in_turn(lending);
	uint64_t wanted = 0;

	for (int i = 0; short_of && i < lending->peer_count; i++) {
		struct peer *peer = lending->peers[i];

		if (peer == NULL || !peer->waiting)
			continue;
		if (deadline_passed(&peer->until))
			refuse(lending, i);
		else
			wanted += AHEAD;
	}
	if (!deadline_passed(&lending->eager_until))
		wanted += AHEAD;
	/* Zones that may not be lent yet need not be whole yet. */
	if (!pace_allows(&lending->pace))
		wanted = 0;
	pthread_mutex_lock(&pool->lock);
	compaction_want_locked(pool, wanted);
	pthread_mutex_unlock(&pool->lock);
}

static void borrow(struct lending *lending, int number, uint64_t wait_ms)
{
	struct peer *peer = lending->peers[number];
	/* An hour is as good as for ever. */
	uint64_t ms = wait_ms > 3600000 ? 3600000 : wait_ms;

	/* What he has unmapped without a word counts no more. */
	if (peer->owner.zones >= lending->limit)
		loans_look(&lending->loans);
	if (peer->owner.zones >= lending->limit || pace_allows(&lending->pace)) {
		if (try_lend(lending, number) == 0 ||
		    (loans_look(&lending->loans) && try_lend(lending, number) == 0))
			return;
		if (ms == 0)
			lending->eager_until = deadline_after(EAGER_MS);
	}
	if (ms == 0) {
		refuse(lending, number);
		return;
	}
	peer->waiting = true;
	peer->until = deadline_after(ms);
}

/* ---- zones that may have become free -------------------------------------------------------- */

/* Somebody waits for a zone, or will try again at once. */
static bool is_wanted(const struct lending *lending)
{
	for (int i = 0; i < lending->peer_count; i++)
		if (lending->peers[i] != NULL && lending->peers[i]->waiting)
			return true;
	return !deadline_passed(&lending->eager_until);
}

static void look_soon(struct lending *lending)
{
	lending->look_ms = LOOK_MS;
	lending->look_at = deadline_after(0);
}

/* What the ender has is not watched, but the ender is: it is to take turns. */
static bool is_to_look(const struct lending *lending)
{
	return lending->loans.watched > 0 || lending->loans.ending > 0;
}

static void look(struct lending *lending)
{
	if (loans_collect(&lending->loans))
		lending->look_ms = LOOK_MS;
	if (lending->loans.fresh || is_wanted(lending))
		look_soon(lending);
	if (!is_to_look(lending) || !deadline_passed(&lending->look_at))
		return;
	if (loans_look(&lending->loans))
		lending->look_ms = LOOK_MS;
	lending->look_at = deadline_after(lending->look_ms);
	if (lending->look_ms < LOOK_MOST_MS)
		lending->look_ms *= 2;
}

/* Hang up on who has made what he is lent larger. */
static void audit(struct lending *lending)
{
	struct owner *owner;

	if (lending->loans.lent == 0 || !deadline_passed(&lending->audit_at))
		return;
	lending->audit_at = deadline_after(AUDIT_MS);
	owner = loans_audit(&lending->loans, AUDIT_COUNT);
	for (int i = 0; owner != NULL && i < lending->peer_count; i++)
		if (lending->peers[i] != NULL && &lending->peers[i]->owner == owner)
			talk_end(lending, i);
}

/* How long to sleep, in milliseconds; -1: until something happens. */
static int patience(const struct lending *lending)
{
	int audit_ms = (int)deadline_left(&lending->audit_at), look_ms = INT_MAX;

	if (is_wanted(lending))
		return LOOK_MS;
	/* A loan that was ended at once has left `fresh` behind, and nothing to look at. */
	if (is_to_look(lending))
		look_ms = lending->loans.fresh ? 0 : (int)deadline_left(&lending->look_at);
	if (lending->loans.lent == 0)
		return -1;
	return look_ms < audit_ms ? look_ms : audit_ms;
}

/* ---- asking for memory ---------------------------------------------------------------------- */

/* If nobody is left who has been asked and has not answered, say so. */
static void check_answered(struct lending *lending)
{
	struct pool *pool = &lending->h->pool;

	if (!lending->asking)
		return;
	for (int i = 0; i < lending->peer_count; i++)
		if (lending->peers[i] != NULL &&
		    lending->peers[i]->answered < lending->peers[i]->asked)
			return;
	lending->asking = false;
	pthread_mutex_lock(&pool->lock);
	recall_answered_locked(pool, lending->asked);
	pthread_mutex_unlock(&pool->lock);
}

/* How many pages are wanted back, and note for which round.  Mostly 0. */
static uint64_t take_note(struct lending *lending)
{
	struct pool *pool = &lending->h->pool;
	uint64_t wanted;

	pthread_mutex_lock(&pool->lock);
	wanted = pool->lender.wanted;
	pool->lender.wanted = 0;
	if (wanted > 0) {
		lending->asking = true;
		lending->asked = pool->lender.round;
	}
	pthread_mutex_unlock(&pool->lock);
	return wanted;
}

/* Ask each borrower for its share of what is wanted. */
static void ask_peers(struct lending *lending)
{
	uint64_t pages = take_note(lending), owned = 0;

	if (pages == 0)
		return;
	look_soon(lending);
	for (int i = 0; i < lending->peer_count; i++)
		owned += lending->peers[i] != NULL ? lending->peers[i]->owner.zones : 0;
	for (int i = 0; i < lending->peer_count; i++) {
		struct peer *peer = lending->peers[i];
		struct lend_message message = { .version = LEND_VERSION, .kind = LEND_RECALL };
		uint64_t zones = (pages + ZONE_PAGES - 1) / ZONE_PAGES;

		if (peer == NULL || peer->owner.zones == 0)
			continue;
		/* Rounded up: rather too much than another round. */
		zones = (zones * peer->owner.zones + owned - 1) / owned;
		message.value = zones * ZONE_BYTES;
		message.offset = ++peer->asked;
		talk_say(lending, i, &message, -1, NULL);
	}
}

/* ---- what is heard -------------------------------------------------------------------------- */

/* One message.  False if it makes no sense. */
static bool understand(struct lending *lending, int number, const struct lend_message *message)
{
	struct peer *peer = lending->peers[number];

	if (message->version != LEND_VERSION || message->zero != 0 ||
	    (!peer->greeted && message->kind != LEND_HELLO && message->kind != LEND_STAT))
		return false;
	switch (message->kind) {
	case LEND_HELLO:
		if (peer->greeted)
			return false;
		talk_welcome(lending, number);
		return true;
	case LEND_BORROW:
		if (peer->waiting)
			return false;
		borrow(lending, number, message->value);
		return true;
	case LEND_HELD:
		/* Who lies keeps no more from the disk than if he borrowed. */
		if (peer->owner.zones < lending->limit)
			loans_held(&lending->loans, &peer->owner, message->offset);
		return true;
	case LEND_RETURNED:
		loans_returned(&lending->loans, &peer->owner, message->offset);
		return true;
	case LEND_COPIED:
		loans_copied(&lending->loans, &peer->owner, message->offset);
		return true;
	case LEND_RECALLED:
		if (message->offset > peer->asked || message->offset <= peer->answered)
			return false;
		peer->answered = message->offset;
		peer->refused += message->value == 0;
		return true;
	case LEND_STAT:
		talk_status(lending, number);
		return true;
	default:
		return false;
	}
}

static void hear(struct lending *lending, int number)
{
	struct lend_message message;
	ssize_t n;

	n = recv(lending->peers[number]->fd, &message, sizeof(message), MSG_DONTWAIT | MSG_TRUNC);
	if (n == -1 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != (ssize_t)sizeof(message) || !understand(lending, number, &message))
		talk_end(lending, number);
}

static int free_place(struct lending *lending)
{
	struct peer **more;
	int room;

	for (int i = 0; i < lending->peer_count; i++)
		if (lending->peers[i] == NULL)
			return i;
	if (lending->peer_count >= lending->peer_most)
		return -1;
	if (lending->peer_count == lending->peer_room) {
		room = lending->peer_room > 0 ? 2 * lending->peer_room : 16;
		more = realloc(lending->peers, (size_t)room * sizeof(more[0]));
		if (more == NULL)
			return -1;
		lending->peers = more;
		lending->peer_room = room;
	}
	return lending->peer_count++;
}

static void accept_peer(struct lending *lending)
{
	struct epoll_event event = { .events = EPOLLIN };
	struct peer *peer, who = { .since = time(NULL) };
	int number;

	who.fd = listener_accept(&lending->listener);
	if (who.fd == -1)
		return;
	if (!peer_identify(&who, &lending->allowed)) {
		talk_turn_away(who.fd, -EPERM);
		return;
	}
	number = free_place(lending);
	peer = number != -1 ? malloc(sizeof(*peer)) : NULL;
	if (peer == NULL) {
		talk_turn_away(who.fd, -EUSERS);
		return;
	}
	*peer = who;
	LIST_INIT(&peer->owner.loans);
	lending->peers[number] = peer;
	event.data.u64 = (uint64_t)number;
	if (epoll_ctl(lending->epoll, EPOLL_CTL_ADD, peer->fd, &event) == -1)
		talk_end(lending, number);
}

/* ---- the thread ----------------------------------------------------------------------------- */

static void happened(struct lending *lending, uint64_t token)
{
	uint64_t count;

	if (token == TOKEN_LISTENER) {
		accept_peer(lending);
	} else if (token == TOKEN_EVENT) {
		if (read(lending->event, &count, sizeof(count)) == -1)
			return;
	} else if (lending->peers[token] != NULL) {
		hear(lending, (int)token);
	}
}

static void *server(void *opaque)
{
	struct lending *lending = opaque;
	struct epoll_event events[64];

	pace_add(&lending->pace, pthread_self());
	pace_add(&lending->pace, lending->mover.thread);
	if (lending->loans.ender.running)
		pace_add(&lending->pace, lending->loans.ender.thread);
	while (!atomic_load_explicit(&lending->stop, memory_order_relaxed)) {
		int n = epoll_wait(lending->epoll, events, 64, patience(lending));

		for (int i = 0; i < n; i++)
			happened(lending, events[i].data.u64);
		ask_peers(lending);
		look(lending);
		audit(lending);
		serve_waiting(lending);
		check_answered(lending);
	}
	return NULL;
}

/* ---- making and ending ---------------------------------------------------------------------- */

static int make_epoll(struct lending *lending)
{
	struct epoll_event event = { .events = EPOLLIN };

	lending->epoll = epoll_create1(EPOLL_CLOEXEC);
	lending->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (lending->epoll == -1 || lending->event == -1)
		return -errno;
	event.data.u64 = TOKEN_LISTENER;
	if (epoll_ctl(lending->epoll, EPOLL_CTL_ADD, lending->listener.fd, &event) == -1)
		return -errno;
	event.data.u64 = TOKEN_EVENT;
	return epoll_ctl(lending->epoll, EPOLL_CTL_ADD, lending->event, &event) == -1 ? -errno : 0;
}

static int keep_folder(struct lending *lending, const char *folder)
{
	if (folder == NULL)
		return 0;
	lending->folder = strdup(folder);
	lending->loans_options.folder = lending->folder;
	return lending->folder != NULL ? 0 : fail(ENOMEM, "lend: %s: out of memory", folder);
}

static int make_listener(struct lending *lending, const struct kmemblk_lend_options *options)
{
	const struct listener_options socket = {
		.what = "lend",
		.path = options->socket,
		.type = SOCK_SEQPACKET,
		.mode = options->mode,
		.owner = options->owner,
		.group = options->group,
	};

	return listener_make(&lending->listener, &socket);
}

int lending_make(struct kmemblk *h, const struct kmemblk_lend_options *options)
{
	struct lending *lending = calloc(1, sizeof(*lending));
	int rc;

	if (lending == NULL)
		return fail(ENOMEM, "lend: %s: out of memory", h->device.path);
	h->lending = lending;
	lending->h = h;
	lending->mover = (struct mover){ .h = h, .done = wake_up, .opaque = lending };
	uuid_unparse_lower(h->super.uuid, lending->uuid);
	lending->loans_options = (struct loans_options){
		.uuid = lending->uuid,
		.most = options->most == 0 ? UINT64_MAX : options->most / ZONE_BYTES,
		.wake = wake_up,
		.opaque = lending,
	};
	lending->listener = (struct listener){ .fd = -1, .folder = -1 };
	lending->epoll = lending->event = -1;
	lending->limit =
		options->limit == KMEMBLK_DEFAULT ? UINT64_MAX : options->limit / ZONE_BYTES;
	lending->peer_most = peers_most();
	lending->count_requests = options->count_requests;
	lending->count_opaque = options->count_opaque;
	pace_init(&lending->pace);
	lending->eager_until = deadline_after(0);
	look_soon(lending);
	rc = keep_folder(lending, options->folder);
	if (rc == 0)
		rc = allowed_parse(&lending->allowed, options->allow);
	if (rc == 0)
		rc = make_listener(lending, options);
	if (rc == 0) {
		rc = make_epoll(lending);
		if (rc != 0)
			fail_errno(-rc, "lend: %s", options->socket);
	}
	if (rc != 0)
		lending_close(h);
	return rc;
}

int lending_start(struct kmemblk *h)
{
	struct lending *lending = h->lending;
	int rc;

	if (lending == NULL)
		return 0;
	rc = loans_init(&lending->loans, &h->pool, &lending->loans_options);
	if (rc != 0)
		return rc;
	rc = mover_start(&lending->mover);
	if (rc != 0)
		return rc;
	rc = thread_start(&lending->thread, 0, server, lending);
	if (rc != 0)
		return thread_fail(rc, "start", h->device.path, "lending");
	lending->running = true;
	pthread_mutex_lock(&h->pool.lock);
	h->pool.lender.event = lending->event;
	pthread_mutex_unlock(&h->pool.lock);
	return 0;
}

void lending_stop(struct kmemblk *h)
{
	struct lending *lending = h->lending;

	if (lending == NULL)
		return;
	if (lending->running) {
		atomic_store_explicit(&lending->stop, true, memory_order_relaxed);
		wake(lending);
		pthread_join(lending->thread, NULL);
		lending->running = false;
	}
	mover_stop(&lending->mover);
	loans_destroy(&lending->loans);
}

void lending_close(struct kmemblk *h)
{
	struct lending *lending = h->lending;

	if (lending == NULL)
		return;
	listener_close(&lending->listener);
	for (int i = 0; i < lending->peer_count; i++)
		if (lending->peers[i] != NULL) {
			close(lending->peers[i]->fd);
			free(lending->peers[i]);
		}
	if (lending->epoll != -1)
		close(lending->epoll);
	if (lending->event != -1)
		close(lending->event);
	allowed_free(&lending->allowed);
	free(lending->folder);
	free(lending->peers);
	free(lending);
	h->lending = NULL;
}
