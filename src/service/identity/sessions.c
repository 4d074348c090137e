/* Log in, refresh, log out, sessions. Handlers call these on the hash pool (log-in) or the common
 * pool.
 *
 * A session is a family of refresh tokens. Life of one token:
 *
 *   present ──used──▶ replaced ──used within 30 s──▶ (yields a sibling, stays replaced)
 *                        │
 *                        └──30 s pass──▶ forgotten ──used──▶ the whole family ends
 *
 * Invariants:
 *   1. A token that is not sealed by us never reaches the database.
 *   2. A sealed token of a living session that the table doesn't list was replaced more than 30 s
 *      ago (or pushed out by 16 living siblings): its use is a theft, of it or of its successor.
 *   3. A session has at most SIBLINGS_MAX present tokens, a user SESSIONS_PER_USER_MAX sessions.
 *   4. A session begins or goes on only as the user's row allows inside the write itself; its
 *      access token says what that row said, and its id is older than the row was read, so that the
 *      bar after a change covers it.
 */
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "base/text.h"
#include "service/idempotency.h"
#include "service/identity/delays.h"
#include "service/identity/identity_private.h"
#include "service/identity/keys.h"
#include "service/identity/passwords.h"
#include "service/identity/token.h"

#include <sodium.h>
#include <stdio.h>
#include <string.h>

enum { USER_AGENT_BYTES_MAX = 256, SWEEP_MS = 3600000 };

int delay_refusal(struct problem *problem, int64_t left_ms)
{
    int seconds = (int)((left_ms + 999) / 1000);
    problem->retry_after_s = seconds;
    return problem_set(problem, ERR_RATE_LIMITED,
                       "Too many attempts went wrong; the next one may be made in %d s", seconds);
}

void sessions_bar(struct identity *identity, const struct ended_sessions *ended)
{
    for (unsigned i = 0; i < ended->count; i++) {
        notices_bar(identity, ended->ids[i], INT64_MAX);
    }
}

void user_bar(struct identity *identity, int64_t user_id, bool for_ever)
{
    notices_bar(identity, user_id, for_ever ? INT64_MAX : id_next());
}

static void note_ended(void *argument, int64_t session_id)
{
    struct ended_sessions *ended = argument;
    if (ended->count < SESSIONS_PER_USER_MAX) {
        ended->ids[ended->count++] = session_id;
    }
}

int sessions_end_others(struct db_session *session, int64_t user_id, int64_t keep_session,
                        struct ended_sessions *ended)
{
    ended->count = 0;
    int error = session_store_delete_others(session, user_id, keep_session, note_ended, ended);
    return error != 0 ? error : refresh_store_delete_orphans(session, user_id);
}

/* Cut at a character's border. */
static void copy_user_agent(char out[USER_AGENT_BYTES_MAX + 1], const char *text)
{
    size_t length = text != NULL ? strlen(text) : 0;
    if (length > USER_AGENT_BYTES_MAX) {
        length = USER_AGENT_BYTES_MAX;
        while (length > 0 && ((unsigned char)text[length] & 0xC0) == 0x80) {
            length--;
        }
    }
    if (length > 0) {
        memcpy(out, text, length);
    }
    out[length] = '\0';
    if (!text_is_utf8(out, length)) {
        out[0] = '\0';
    }
}

/* Hourly, by whoever logs in. */
static int sweep_kept_answers(struct identity *identity, struct db_session *session)
{
    int64_t now_ms = clock_monotonic_ms();
    int64_t due_ms = atomic_load(&identity->sweep_due_ms);
    if (now_ms < due_ms ||
        !atomic_compare_exchange_strong(&identity->sweep_due_ms, &due_ms, now_ms + SWEEP_MS)) {
        return 0;
    }
    return idempotency_sweep(session, clock_wall_ms());
}

int session_begin(struct identity *identity, struct db_session *session, const struct user *user,
                  const struct visitor *visitor, struct signed_in *ret_signed_in)
{
    char user_agent[USER_AGENT_BYTES_MAX + 1];
    copy_user_agent(user_agent, visitor->user_agent);
    int64_t now_ms = clock_wall_ms();
    const struct session_row row = {.session_id = id_next(),
                                    .address = visitor->address,
                                    .user_agent = user_agent,
                                    .created_at = now_ms,
                                    .used_at = now_ms,
                                    .expires_at = now_ms + SESSION_LIFE_MS};
    int error =
        session_store_delete_stale(session, user->user_id, now_ms, SESSIONS_PER_USER_MAX - 1);
    if (error == 0) {
        error = refresh_store_delete_orphans(session, user->user_id);
    }
    if (error == 0) {
        error = sweep_kept_answers(identity, session);
    }
    if (error == 0) {
        error = session_store_insert(session, user->user_id, &row);
    }
    if (error != 0) {
        return error;
    }
    ticket_make(key_ring_seal_key(identity->keys), TICKET_REFRESH, user->user_id, row.session_id,
                &ret_signed_in->refresh);
    ret_signed_in->session_id = row.session_id;
    ret_signed_in->user = *user;
    return refresh_store_insert(session, &ret_signed_in->refresh, now_ms);
}

int session_sign(struct identity *identity, struct call *call, struct signed_in *signed_in)
{
    struct token_claims claims = {.user_id = signed_in->user.user_id,
                                  .session_id = signed_in->session_id,
                                  .token_id = signed_in->token_id,
                                  .roles = signed_in->user.roles};
    (void)snprintf(claims.plan, sizeof claims.plan, "%s", signed_in->user.plan);
    return token_issue(identity->keys, identity->public_url, &claims, call->arena,
                       &signed_in->access_token);
}

/* --- log in --- */

enum { CHECKS_MAX = 2 }; /* of a password that is changed meanwhile */

struct log_in {
    struct identity *identity;
    struct call *call;
    const char *login; /* folded */
    const struct visitor *visitor;
    struct user user;
    bool known_address;
    const char *checked_hash; /* the password is right by this one */
    const char *new_hash;     /* NULL: the stored one is good */
    struct signed_in *signed_in;
};

static int find_person(struct db_session *session, void *argument)
{
    struct log_in *log_in = argument;
    int64_t user_id = 0;
    int error = user_store_find_login(session, log_in->login, &user_id);
    if (error == 0) {
        error = user_store_find(session, log_in->call->arena, user_id, &log_in->user);
    }
    if (error == 0) {
        error = session_store_knows_address(session, user_id, log_in->visitor->address,
                                            &log_in->known_address);
    }
    return error;
}

static bool is_checked(const struct log_in *log_in)
{
    const char *hash = log_in->user.password_hash;
    return hash != NULL && log_in->checked_hash != NULL && strcmp(hash, log_in->checked_hash) == 0;
}

static int disabled(struct problem *problem)
{
    return problem_set(problem, ERR_FORBIDDEN, "This account is disabled; an admin can enable it");
}

/* A hash takes long enough for an admin to disable the person, or for the password to change: what
 * was checked is looked at again. Where the password is another one nothing is written, and
 * is_checked says so. */
static int write_log_in(struct db_session *session, void *argument)
{
    struct log_in *log_in = argument;
    problem_reset(&log_in->call->problem);
    log_in->signed_in->token_id = id_next();
    int error = user_store_find(session, log_in->call->arena, log_in->user.user_id, &log_in->user);
    if (error != 0 || !is_checked(log_in)) {
        return error;
    }
    if (log_in->user.disabled_at != 0) {
        return disabled(&log_in->call->problem);
    }
    if (log_in->new_hash != NULL) {
        error = user_store_update_password(session, log_in->user.user_id, log_in->new_hash,
                                           clock_wall_ms());
    }
    return error != 0 ? error
                      : session_begin(log_in->identity, session, &log_in->user, log_in->visitor,
                                      log_in->signed_in);
}

/* The password, against the person's hash or nobody's. A hash with older parameters is made anew.
 */
static int check_password(struct log_in *log_in, const char *password, bool *ret_matches)
{
    bool outdated = false;
    log_in->checked_hash = log_in->user.password_hash;
    log_in->new_hash = NULL;
    int error = passwords_verify(password, log_in->checked_hash, ret_matches, &outdated);
    if (error == 0 && outdated) {
        char hash[PASSWORD_HASH_SIZE];
        error = passwords_hash(password, hash);
        log_in->new_hash = arena_strdup(log_in->call->arena, hash);
    }
    return error;
}

/* A password that changed after it was checked is checked once more. */
static int check_and_write(struct log_in *log_in, const struct delay_keys *keys,
                           const char *password)
{
    struct problem *problem = &log_in->call->problem;
    for (unsigned checks = 0; checks < CHECKS_MAX; checks++) {
        bool matches = false;
        int error = check_password(log_in, password, &matches);
        if (error != 0) {
            return error;
        }
        if (!matches) {
            notices_failed(log_in->identity, keys);
            break;
        }
        if (log_in->user.disabled_at != 0) {
            return disabled(problem);
        }
        error = db_write(log_in->identity->users, write_log_in, log_in);
        if (error == ERR_NOT_FOUND) { /* erased meanwhile */
            break;
        }
        if (error != 0 || is_checked(log_in)) {
            return error;
        }
    }
    return problem_set(problem, ERR_UNAUTHENTICATED, "The username or the password is not right");
}

static int refuse_delayed(struct identity *identity, struct call *call,
                          const struct delay_keys *keys, bool known_address)
{
    int64_t left_ms = delays_left_ms(identity->delays, keys, known_address, clock_monotonic_ms());
    return left_ms > 0 ? delay_refusal(&call->problem, left_ms) : 0;
}

int session_log_in(struct identity *identity, struct call *call, const char *username,
                   const char *password, const struct visitor *visitor,
                   struct signed_in *ret_signed_in)
{
    struct log_in log_in = {.identity = identity,
                            .call = call,
                            .login = name_fold_login(call, username),
                            .visitor = visitor,
                            .signed_in = ret_signed_in};
    struct delay_keys keys =
        delays_keys(identity->delays, log_in.login != NULL ? log_in.login : "", visitor->address);
    int error = refuse_delayed(identity, call, &keys, true);
    if (error != 0) {
        return error;
    }
    error = log_in.login != NULL ? db_read(identity->users, find_person, &log_in) : ERR_NOT_FOUND;
    if (error != 0 && error != ERR_NOT_FOUND) {
        return error;
    }
    error = refuse_delayed(identity, call, &keys, log_in.known_address);
    if (error != 0) {
        return error;
    }
    error = check_and_write(&log_in, &keys, password);
    if (error != 0) {
        return error;
    }
    notices_succeeded(identity, &keys);
    return session_sign(identity, call, ret_signed_in);
}

/* --- refresh --- */

struct refresh {
    struct identity *identity;
    struct call *call;
    struct ticket ticket; /* as presented */
    struct signed_in *signed_in;
    bool family_ended;
};

/* Invariant 2. Commits, so the answer is decided by family_ended and not by an error. */
static int end_family(struct db_session *session, struct refresh *refresh)
{
    int error = session_store_delete(session, refresh->ticket.user_id, refresh->ticket.session_id);
    if (error == 0) {
        error = refresh_store_delete(session, refresh->ticket.user_id, refresh->ticket.session_id);
    }
    refresh->family_ended = error == 0;
    return error;
}

static int hand_out_next(struct db_session *session, struct refresh *refresh, int64_t now_ms)
{
    const struct ticket *old = &refresh->ticket;
    int error =
        refresh_store_forget(session, old->user_id, old->session_id, now_ms - REFRESH_GRACE_MS);
    if (error == 0) {
        error = refresh_store_trim(session, old->user_id, old->session_id, SIBLINGS_MAX - 1);
    }
    if (error == 0) {
        error = session_store_touch(session, old->user_id, old->session_id, now_ms,
                                    now_ms + SESSION_LIFE_MS);
    }
    if (error != 0) {
        return error;
    }
    ticket_make(key_ring_seal_key(refresh->identity->keys), TICKET_REFRESH, old->user_id,
                old->session_id, &refresh->signed_in->refresh);
    return refresh_store_insert(session, &refresh->signed_in->refresh, now_ms);
}

/* Whose session it is, as they are now. ERR_NOT_FOUND: it is over, or they are disabled. */
static int find_session(struct db_session *session, struct arena *arena, int64_t user_id,
                        int64_t session_id, struct signed_in *ret_signed_in)
{
    ret_signed_in->token_id = id_next();
    ret_signed_in->session_id = session_id;
    int error = session_store_alive(session, user_id, session_id, clock_wall_ms());
    if (error == 0) {
        error = user_store_find(session, arena, user_id, &ret_signed_in->user);
    }
    return error == 0 && ret_signed_in->user.disabled_at != 0 ? ERR_NOT_FOUND : error;
}

static int write_refresh(struct db_session *session, void *argument)
{
    struct refresh *refresh = argument;
    const struct ticket *ticket = &refresh->ticket;
    int64_t now_ms = clock_wall_ms();
    refresh->family_ended = false;
    int error = find_session(session, refresh->call->arena, ticket->user_id, ticket->session_id,
                             refresh->signed_in);
    if (error != 0) {
        return error;
    }
    struct refresh_row row;
    error = refresh_store_find(session, ticket, &row);
    if (error == ERR_NOT_FOUND ||
        (error == 0 && row.replaced_at != 0 && now_ms - row.replaced_at > REFRESH_GRACE_MS)) {
        return end_family(session, refresh);
    }
    if (error == 0 && row.replaced_at == 0) {
        error = refresh_store_replace(session, ticket, now_ms);
        error = error == ERR_NOT_FOUND ? 0 : error; /* replaced meanwhile: a sibling */
    }
    return error != 0 ? error : hand_out_next(session, refresh, now_ms);
}

static int session_is_over(struct problem *problem)
{
    return problem_set(problem, ERR_UNAUTHENTICATED, "The session is over; log in again");
}

int session_refresh(struct identity *identity, struct call *call, const char *refresh_token,
                    struct signed_in *ret_signed_in)
{
    struct refresh refresh = {.identity = identity, .call = call, .signed_in = ret_signed_in};
    if (!ticket_read(key_ring_seal_key(identity->keys), TICKET_REFRESH, refresh_token,
                     &refresh.ticket)) {
        return problem_set(&call->problem, ERR_UNAUTHENTICATED,
                           "The refresh token is none of this server's");
    }
    int error = db_write(identity->users, write_refresh, &refresh);
    sodium_memzero(refresh.ticket.text, sizeof refresh.ticket.text);
    if (error == ERR_NOT_FOUND) {
        return session_is_over(&call->problem);
    }
    if (error == 0 && refresh.family_ended) {
        notices_bar(identity, refresh.ticket.session_id, INT64_MAX);
        return problem_set(&call->problem, ERR_UNAUTHENTICATED,
                           "This refresh token was used before, so the session has been ended;"
                           " log in again");
    }
    return error != 0 ? error : session_sign(identity, call, ret_signed_in);
}

/* --- a token beside the refresh token --- */

struct renewal {
    struct call *call;
    struct signed_in signed_in;
};

static int read_renewal(struct db_session *session, void *argument)
{
    struct renewal *renewal = argument;
    const struct actor *actor = &renewal->call->actor;
    return find_session(session, renewal->call->arena, actor->user_id, actor->session_id,
                        &renewal->signed_in);
}

int session_renew(struct identity *identity, struct call *call, const char **ret_access_token)
{
    struct renewal renewal = {.call = call};
    int error = db_read(identity->users, read_renewal, &renewal);
    if (error == 0) {
        error = session_sign(identity, call, &renewal.signed_in);
    }
    if (error == 0) {
        *ret_access_token = renewal.signed_in.access_token;
    }
    return error == ERR_NOT_FOUND ? session_is_over(&call->problem) : error;
}

/* --- ending --- */

struct ending {
    struct call *call;
    int64_t user_id, session_id;
    struct idempotency *once;
};

static int write_ending(struct db_session *session, void *argument)
{
    const struct ending *ending = argument;
    int error = idempotency_begin(session, ending->call, ending->once);
    if (error != 0 || ending->once->replayed) {
        return error;
    }
    error = session_store_delete(session, ending->user_id, ending->session_id);
    if (error == 0) {
        error = refresh_store_delete(session, ending->user_id, ending->session_id);
    }
    return error != 0 ? error : idempotency_finish(session, ending->once, 204, 0, NULL);
}

static int end_one(struct identity *identity, struct ending *ending)
{
    int error = db_write(identity->users, write_ending, ending);
    if (error == 0) {
        notices_bar(identity, ending->session_id, INT64_MAX);
    }
    return error;
}

int session_log_out(struct identity *identity, const char *refresh_token)
{
    struct ticket ticket;
    struct idempotency none = {0};
    if (!ticket_read(key_ring_seal_key(identity->keys), TICKET_REFRESH, refresh_token, &ticket)) {
        return 0;
    }
    struct ending ending = {
        .user_id = ticket.user_id, .session_id = ticket.session_id, .once = &none};
    int error = end_one(identity, &ending);
    sodium_memzero(&ticket, sizeof ticket);
    return error == ERR_NOT_FOUND ? 0 : error;
}

int session_end(struct identity *identity, struct call *call, int64_t session_id,
                struct idempotency *once)
{
    struct ending ending = {
        .call = call, .user_id = call->actor.user_id, .session_id = session_id, .once = once};
    int error = end_one(identity, &ending);
    return error == ERR_NOT_FOUND
               ? problem_set(&call->problem, ERR_NOT_FOUND, "There is no such session of yours")
               : error;
}

struct listing {
    struct call *call;
    struct session_row *rows;
    int count;
};

static int read_sessions(struct db_session *session, void *argument)
{
    struct listing *listing = argument;
    listing->count = session_store_list(session, listing->call->arena, listing->call->actor.user_id,
                                        clock_wall_ms(), SESSIONS_PER_USER_MAX, listing->rows);
    return listing->count < 0 ? listing->count : 0;
}

int session_list(struct identity *identity, struct call *call, struct session_row **ret_rows,
                 unsigned *ret_count)
{
    struct listing listing = {
        .call = call,
        .rows = arena_array(call->arena, SESSIONS_PER_USER_MAX, sizeof(struct session_row))};
    if (listing.rows == NULL) {
        return ERR_NO_MEMORY;
    }
    int error = db_read(identity->users, read_sessions, &listing);
    if (error == 0) {
        *ret_rows = listing.rows;
        *ret_count = (unsigned)listing.count;
    }
    return error;
}
