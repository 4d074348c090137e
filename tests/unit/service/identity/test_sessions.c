/* identity over a real SQLite: the first admin, rotation of refresh tokens, what ends a family,
 * what an admin may not do, what happens while a password is hashed. Time is skewed, not slept. */
#include "backend/bus/bus.h"
#include "backend/db/db.h"
#include "backend/mail/mail.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/id.h"
#include "net/http.h"
#include "net/jobs.h"
#include "service/idempotency.h"
#include "service/identity/delays.h"
#include "service/identity/identity_private.h"
#include "service/identity/keys.h"
#include "service/identity/token.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PASSWORD "correct horse battery"

static const struct visitor home = {.address = "192.0.2.1", .user_agent = "Test/1"};

struct world {
    char directory[64];
    struct db *db;
    struct bus *bus;
    struct identity *identity;
    struct call call;
};

static struct world world;
static struct idempotency once; /* no key */

/* The wall clock, so many milliseconds ahead of the true one. */
static void skew_to(int64_t ahead_ms)
{
    static int64_t now_ahead_ms;
    clock_wall_skew_ms(ahead_ms - now_ahead_ms);
    now_ahead_ms = ahead_ms;
}

static void call_again(void)
{
    arena_reset(world.call.arena);
    problem_reset(&world.call.problem);
}

static void count_events_work(struct db_session *session, const char *type, int64_t *ret_count)
{
    DB_ROWS rows = NULL;
    assert_int_equal(db_query(session, &rows, "SELECT COUNT(*) FROM bus_outbox WHERE type = $1",
                              DB_BIND(db_text(type))),
                     0);
    assert_int_equal(db_next(rows), 1);
    *ret_count = db_get_int(rows, 0);
}

struct counting {
    const char *type;
    int64_t count;
};

static int count_work(struct db_session *session, void *argument)
{
    struct counting *counting = argument;
    count_events_work(session, counting->type, &counting->count);
    return 0;
}

static int64_t count_events(const char *type)
{
    struct counting counting = {.type = type};
    assert_int_equal(db_read(world.db, count_work, &counting), 0);
    return counting.count;
}

static void sign_up(const char *username, struct signed_in *ret)
{
    call_again();
    char email[64];
    memset(ret, 0xff, sizeof *ret); /* whatever lies there */
    (void)snprintf(email, sizeof email, "%s@example.org", username);
    const struct new_user wanted = {
        .username = username, .email = email, .password = PASSWORD, .roles = ROLE_LISTENER};
    assert_int_equal(account_register(world.identity, &world.call, &wanted, &home, ret), 0);
}

static int refresh(const struct signed_in *old, struct signed_in *next)
{
    call_again();
    struct signed_in fresh = {0};
    int error = session_refresh(world.identity, &world.call, old->refresh.text, &fresh);
    if (error == 0) {
        *next = fresh;
    }
    return error;
}

static void first_admin(void **state)
{
    (void)state;
    bool needed = false;
    char code[64], again[64];
    struct signed_in in;
    const struct new_user listener = {
        .username = "early", .email = "early@b.org", .password = PASSWORD, .roles = ROLE_LISTENER};
    assert_int_equal(account_register(world.identity, &world.call, &listener, &home, &in),
                     ERR_FORBIDDEN);
    assert_int_equal(identity_setup_begin(world.identity, &world.call, &needed, code), 0);
    assert_true(needed);
    assert_int_equal(identity_setup_begin(world.identity, &world.call, &needed, again), 0);
    assert_string_equal(code, again);
    const struct new_user boss = {.username = "boss", .password = PASSWORD, .roles = ROLE_ADMIN};
    call_again();
    assert_int_equal(setup_finish(world.identity, &world.call, "0123", &boss, &home, &in),
                     ERR_FORBIDDEN);
    call_again();
    assert_int_equal(setup_finish(world.identity, &world.call, code, &boss, &home, &in), 0);
    assert_int_equal(in.user.roles, ROLE_ADMIN | ROLE_LISTENER);
    call_again();
    assert_int_equal(setup_finish(world.identity, &world.call, code, &boss, &home, &in),
                     ERR_CONFLICT);
    assert_int_equal(identity_setup_begin(world.identity, &world.call, &needed, code), 0);
    assert_false(needed);
    assert_int_equal(count_events("user.created"), 1);
}

static void rotation_and_grace(void **state)
{
    (void)state;
    struct signed_in first, second, sibling, third;
    sign_up("rotation", &first);
    assert_int_equal(refresh(&first, &second), 0);
    assert_int_equal(refresh(&second, &third), 0);
    skew_to(REFRESH_GRACE_MS - 2000);
    assert_int_equal(refresh(&first, &sibling), 0);
    assert_int_equal(sibling.session_id, first.session_id);
    assert_int_equal(refresh(&sibling, &sibling), 0);
    assert_int_equal(refresh(&third, &third), 0);
    skew_to(0);
}

/* Also long after its row is gone: the seal says that it was ours. */
static void late_reuse_ends_the_family(void **state)
{
    (void)state;
    for (int64_t later_ms = REFRESH_GRACE_MS + 1000; later_ms < 30 * 86400000LL; later_ms *= 50) {
        struct signed_in first, second, third;
        char name[32];
        (void)snprintf(name, sizeof name, "late%lld", (long long)later_ms);
        sign_up(name, &first);
        assert_int_equal(refresh(&first, &second), 0);
        skew_to(later_ms);
        assert_int_equal(refresh(&second, &third), 0); /* forgets the first one's row */
        assert_int_equal(refresh(&first, &first), ERR_UNAUTHENTICATED);
        assert_non_null(strstr(world.call.problem.detail, "used before"));
        assert_int_equal(refresh(&third, &third), ERR_UNAUTHENTICATED);
        assert_non_null(strstr(world.call.problem.detail, "is over"));
        skew_to(0);
    }
}

static void sessions_run_out(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("runsout", &in);
    skew_to(SESSION_LIFE_MS - 5000);
    assert_int_equal(refresh(&in, &in), 0);
    skew_to(2 * SESSION_LIFE_MS);
    assert_int_equal(refresh(&in, &in), ERR_UNAUTHENTICATED);
    skew_to(0);
}

static void siblings_are_bounded(void **state)
{
    (void)state;
    struct signed_in first, in[SIBLINGS_MAX + 4];
    sign_up("siblings", &first);
    for (unsigned i = 0; i < SIBLINGS_MAX + 4; i++) {
        assert_int_equal(refresh(&first, &in[i]), 0);
        skew_to((int64_t)i + 1); /* each a millisecond younger */
    }
    assert_int_equal(refresh(&in[SIBLINGS_MAX + 3], &in[SIBLINGS_MAX + 3]), 0);
    assert_int_equal(refresh(&in[0], &in[0]), ERR_UNAUTHENTICATED);
    skew_to(0);
}

static void sessions_are_listed(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("many", &in);
    struct session_row *rows = NULL;
    unsigned count = 0;
    for (unsigned i = 0; i < 3; i++) {
        call_again();
        assert_int_equal(session_log_in(world.identity, &world.call, "MANY", PASSWORD, &home, &in),
                         0);
    }
    call_again();
    world.call.actor = (struct actor){.user_id = in.user.user_id, .session_id = in.session_id};
    assert_int_equal(session_list(world.identity, &world.call, &rows, &count), 0);
    assert_int_equal(count, 4);
    assert_int_equal(rows[0].session_id, in.session_id);
    assert_string_equal(rows[0].user_agent, "Test/1");
}

static int begin_many(struct db_session *session, void *argument)
{
    struct signed_in *in = argument, next;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < SESSIONS_PER_USER_MAX + 5; i++) {
        error = session_begin(world.identity, session, &in->user, &home, &next);
    }
    return error;
}

static void sessions_are_bounded(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("bounded", &in);
    assert_int_equal(db_write(world.db, begin_many, &in), 0);
    struct session_row *rows = NULL;
    unsigned count = 0;
    call_again();
    world.call.actor = (struct actor){.user_id = in.user.user_id};
    assert_int_equal(session_list(world.identity, &world.call, &rows, &count), 0);
    assert_int_equal(count, SESSIONS_PER_USER_MAX);
    assert_int_equal(refresh(&in, &in), ERR_UNAUTHENTICATED); /* the oldest went */
}

static void log_in_by_name_or_address(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("either", &in);
    static const char *const logins[] = {"either", " EITHER ", "Either@Example.ORG"};
    for (unsigned i = 0; i < 3; i++) {
        call_again();
        assert_int_equal(
            session_log_in(world.identity, &world.call, logins[i], PASSWORD, &home, &in), 0);
    }
    static const char *const wrong[] = {"eithe", "", "\x01", "either@example.com"};
    for (unsigned i = 0; i < 4; i++) {
        call_again();
        assert_int_equal(
            session_log_in(world.identity, &world.call, wrong[i], PASSWORD, &home, &in),
            ERR_UNAUTHENTICATED);
    }
}

/* Guessers everywhere else slow a stranger down, not somebody at an address that has a session. */
static void owner_at_home_is_not_kept_out(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("owner", &in);
    char address[32];
    const struct visitor guesser = {.address = address};
    for (unsigned i = 0; i < 30; i++) {
        call_again();
        (void)snprintf(address, sizeof address, "198.51.100.%u", i);
        int error =
            session_log_in(world.identity, &world.call, "owner", "wrong password", &guesser, &in);
        assert_int_equal(error, i < 21 ? ERR_UNAUTHENTICATED : ERR_RATE_LIMITED);
    }
    call_again();
    assert_int_equal(session_log_in(world.identity, &world.call, "owner", PASSWORD, &guesser, &in),
                     ERR_RATE_LIMITED);
    assert_in_range(world.call.problem.retry_after_s, 1, 30);
    call_again();
    assert_int_equal(session_log_in(world.identity, &world.call, "owner", PASSWORD, &home, &in), 0);
}

/* Privacy addresses change within the owner's /64. */
static void owner_is_known_by_the_network(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("roams", &in);
    static const struct visitor before = {.address = "2001:db8:7:8:1234::1"},
                                now = {.address = "2001:db8:7:8:abcd::2"},
                                elsewhere = {.address = "2001:db8:7:9::1"};
    call_again();
    assert_int_equal(session_log_in(world.identity, &world.call, "roams", PASSWORD, &before, &in),
                     0);
    for (unsigned i = 0; i < 200; i++) {
        char address[32];
        (void)snprintf(address, sizeof address, "203.0.113.%u", i);
        struct delay_keys guesser = delays_keys(world.identity->delays, "roams", address);
        delays_failed(world.identity->delays, &guesser, clock_monotonic_ms());
    }
    call_again();
    assert_int_equal(
        session_log_in(world.identity, &world.call, "roams", PASSWORD, &elsewhere, &in),
        ERR_RATE_LIMITED);
    call_again();
    assert_int_equal(session_log_in(world.identity, &world.call, "roams", PASSWORD, &now, &in), 0);
}

static void password_change_ends_others(void **state)
{
    (void)state;
    struct signed_in one, two;
    sign_up("changes", &one);
    call_again();
    assert_int_equal(session_log_in(world.identity, &world.call, "changes", PASSWORD, &home, &two),
                     0);
    call_again();
    world.call.actor = (struct actor){.user_id = two.user.user_id, .session_id = two.session_id};
    assert_int_equal(
        account_change_password(world.identity, &world.call, PASSWORD, "another good one"), 0);
    assert_int_equal(refresh(&one, &one), ERR_UNAUTHENTICATED);
    assert_int_equal(refresh(&two, &two), 0);
}

/* A stolen access token is no way to guess the password faster than at the door. */
static void present_password_is_guessed_slowly(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("guessed", &in);
    world.call.actor = (struct actor){.user_id = in.user.user_id, .session_id = in.session_id};
    unsigned looked_at = 0;
    for (unsigned i = 0; i < 10; i++) {
        call_again();
        int error =
            account_change_password(world.identity, &world.call, "a wrong guess", "a good new one");
        looked_at += error == ERR_INVALID ? 1 : 0;
        assert_true(error == ERR_INVALID || (i >= 4 && error == ERR_RATE_LIMITED));
    }
    assert_in_range(looked_at, 4, 9); /* more than 4 only where seconds passed in between */
    world.call.actor = (struct actor){0};
}

/* A session an hour old needs the password before it may move the address. */
static void old_session_needs_the_password_for_the_address(void **state)
{
    (void)state;
    struct signed_in in;
    struct user user;
    sign_up("mover", &in);
    world.call.actor = (struct actor){.user_id = in.user.user_id, .session_id = in.session_id};
    struct profile_changes changes = {.email = "first@example.org"};
    call_again();
    assert_int_equal(account_change_profile(world.identity, &world.call, &changes, 1, &once, &user),
                     0);
    skew_to(3600000);
    changes.email = "second@example.org";
    call_again();
    assert_int_equal(account_change_profile(world.identity, &world.call, &changes, 2, &once, &user),
                     ERR_INVALID);
    assert_string_equal(world.call.problem.fields[0].name, "currentPassword");
    changes.current_password = PASSWORD;
    call_again();
    assert_int_equal(account_change_profile(world.identity, &world.call, &changes, 2, &once, &user),
                     0);
    assert_string_equal(user.email, "second@example.org");
    skew_to(0);
}

static int put_reset(struct db_session *session, void *argument)
{
    const struct ticket *ticket = argument;
    return reset_store_insert(session, ticket->user_id, ticket->hash,
                              clock_wall_ms() + RESET_LIFE_MS);
}

/* --- what happens meanwhile --- */

/* Run once: after the next password was verified, or before the next token is signed. */
static void (*after_verify)(int64_t user_id), (*before_token)(int64_t user_id);
static int64_t meanwhile_user_id;

static void happen(void (**what)(int64_t user_id))
{
    void (*now)(int64_t user_id) = *what;
    *what = NULL;
    if (now != NULL) {
        now(meanwhile_user_id);
    }
}

int __real_passwords_verify(const char *password, const char *hash, bool *ret_matches,
                            bool *ret_outdated);
int __wrap_passwords_verify(const char *password, const char *hash, bool *ret_matches,
                            bool *ret_outdated);
int __wrap_passwords_verify(const char *password, const char *hash, bool *ret_matches,
                            bool *ret_outdated)
{
    int error = __real_passwords_verify(password, hash, ret_matches, ret_outdated);
    happen(&after_verify);
    return error;
}

int __real_token_issue(struct key_ring *ring, const char *issuer, struct token_claims *claims,
                       struct arena *arena, const char **ret_text);
int __wrap_token_issue(struct key_ring *ring, const char *issuer, struct token_claims *claims,
                       struct arena *arena, const char **ret_text);
int __wrap_token_issue(struct key_ring *ring, const char *issuer, struct token_claims *claims,
                       struct arena *arena, const char **ret_text)
{
    happen(&before_token);
    return __real_token_issue(ring, issuer, claims, arena, ret_text);
}

static void admin_changes(int64_t user_id, const struct rights_changes *changes)
{
    struct call call = {.arena = arena_new(0)};
    struct user user;
    assert_int_equal(
        account_change_rights(world.identity, &call, user_id, changes, REVISION_ANY, &once, &user),
        0);
    arena_free(call.arena);
}

static void disable(int64_t user_id)
{
    admin_changes(user_id, &(struct rights_changes){.disabled = 1});
}

static void set_password(int64_t user_id)
{
    admin_changes(user_id, &(struct rights_changes){.disabled = -1, .password = "set by an admin"});
}

static void make_artist(int64_t user_id)
{
    admin_changes(user_id, &(struct rights_changes){.disabled = -1, .roles = ROLE_ARTIST});
}

static int log_in(const char *username, const char *password, struct signed_in *ret)
{
    call_again();
    return session_log_in(world.identity, &world.call, username, password, &home, ret);
}

static int authenticate(const struct signed_in *in)
{
    struct request request = {.remote = home.address, .call = {.arena = world.call.arena}};
    return identity_authenticate(world.identity, &request, in->access_token);
}

static void log_in_while_disabled(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("disabledmeanwhile", &in);
    meanwhile_user_id = in.user.user_id;
    after_verify = disable;
    assert_int_equal(log_in("disabledmeanwhile", PASSWORD, &in), ERR_FORBIDDEN);
    assert_null(after_verify);
}

/* Neither a session by the old password, nor a hash of it over the new one's. */
static void log_in_while_the_password_changes(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("passwordmeanwhile", &in);
    meanwhile_user_id = in.user.user_id;
    after_verify = set_password;
    assert_int_equal(log_in("passwordmeanwhile", PASSWORD, &in), ERR_UNAUTHENTICATED);
    assert_null(after_verify);
    assert_int_equal(log_in("passwordmeanwhile", "set by an admin", &in), 0);
    after_verify = set_password; /* the same one: another hash, which it matches too */
    assert_int_equal(log_in("passwordmeanwhile", "set by an admin", &in), 0);
    assert_null(after_verify);
}

static int put_outdated(struct db_session *session, void *argument)
{
    const int64_t *user_id = argument;
    char hash[PASSWORD_HASH_SIZE];
    assert_int_equal(crypto_pwhash_str_alg(hash, PASSWORD, strlen(PASSWORD), 1, 8192 * 2,
                                           crypto_pwhash_ALG_ARGON2ID13),
                     0);
    return user_store_update_password(session, *user_id, hash, clock_wall_ms());
}

static void renewed_hash_while_the_password_changes(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("renewedmeanwhile", &in);
    meanwhile_user_id = in.user.user_id;
    assert_int_equal(db_write(world.db, put_outdated, &in.user.user_id), 0);
    after_verify = set_password;
    assert_int_equal(log_in("renewedmeanwhile", PASSWORD, &in), ERR_UNAUTHENTICATED);
    assert_int_equal(log_in("renewedmeanwhile", "set by an admin", &in), 0);
}

static void log_in_while_roles_change(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("rolesmeanwhile", &in);
    meanwhile_user_id = in.user.user_id;
    after_verify = make_artist;
    assert_int_equal(log_in("rolesmeanwhile", PASSWORD, &in), 0);
    assert_null(after_verify);
    assert_int_equal(in.user.roles, ROLE_ARTIST | ROLE_LISTENER);
    assert_int_equal(authenticate(&in), 0);
}

/* The row was read before, the token is made after: the bar in between covers it. */
static void token_signed_after_roles_changed(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("signedlate", &in);
    assert_int_equal(authenticate(&in), 0);
    meanwhile_user_id = in.user.user_id;
    before_token = make_artist;
    assert_int_equal(log_in("signedlate", PASSWORD, &in), 0);
    assert_null(before_token);
    assert_int_equal(authenticate(&in), ERR_UNAUTHENTICATED);
    before_token = make_artist;
    assert_int_equal(refresh(&in, &in), 0);
    assert_null(before_token);
    assert_int_equal(authenticate(&in), ERR_UNAUTHENTICATED);
    assert_int_equal(refresh(&in, &in), 0);
    assert_int_equal(authenticate(&in), 0);
}

static void own_changes_while_an_admin_sets_the_password(void **state)
{
    (void)state;
    struct signed_in in;
    struct user user;
    sign_up("ownmeanwhile", &in);
    meanwhile_user_id = in.user.user_id;
    world.call.actor = (struct actor){.user_id = in.user.user_id, .session_id = in.session_id};
    after_verify = set_password;
    assert_int_equal(
        account_change_password(world.identity, &world.call, PASSWORD, "a thief's own"),
        ERR_INVALID);
    assert_string_equal(world.call.problem.fields[0].name, "currentPassword");
    assert_int_equal(log_in("ownmeanwhile", "set by an admin", &in), 0);
    call_again();
    const struct profile_changes changes = {.email = "thief@example.org",
                                            .current_password = "set by an admin"};
    assert_int_equal(account_find(world.identity, &world.call, in.user.user_id, &user), 0);
    after_verify = set_password;
    assert_int_equal(
        account_change_profile(world.identity, &world.call, &changes, user.revision, &once, &user),
        ERR_CONFLICT);
    world.call.actor = (struct actor){0};
}

static int mark_disabled(struct db_session *session, void *argument)
{
    struct user user = ((struct signed_in *)argument)->user;
    user.disabled_at = clock_wall_ms();
    return user_store_update_rights(session, &user, user.disabled_at);
}

/* What the next access token is refused with, or 0. */
static int renew(const struct signed_in *in)
{
    json_t *answer = json_object();
    call_again();
    world.call.actor = (struct actor){.user_id = in->user.user_id, .session_id = in->session_id};
    int r = identity_token_for(world.identity, &world.call, answer);
    assert_true((r == 0) == (json_string_value(json_object_get(answer, "accessToken")) != NULL));
    world.call.actor = (struct actor){0};
    json_decref(answer);
    return r;
}

/* A session that outlived the disabling is no good. */
static void disabled_is_not_renewed(void **state)
{
    (void)state;
    struct signed_in in, next;
    sign_up("disabledsession", &in);
    assert_int_equal(db_write(world.db, mark_disabled, &in), 0);
    assert_int_equal(refresh(&in, &next), ERR_UNAUTHENTICATED);
    assert_int_equal(renew(&in), ERR_UNAUTHENTICATED);
}

/* An access token is no way to the next one after the session's end. */
static void ended_session_is_not_renewed(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("endedsession", &in);
    assert_int_equal(session_log_out(world.identity, in.refresh.text), 0);
    assert_int_equal(renew(&in), ERR_UNAUTHENTICATED);
}

static void reset_once_within_the_hour(void **state)
{
    (void)state;
    struct signed_in in;
    sign_up("forgets", &in);
    world.call.actor = (struct actor){0};
    struct ticket ticket;
    ticket_make(key_ring_seal_key(world.identity->keys), TICKET_RESET, in.user.user_id, 0, &ticket);
    call_again();
    assert_int_equal(recovery_finish(world.identity, &world.call, ticket.text, "a brand new one"),
                     ERR_INVALID); /* sealed, but never handed out */
    assert_int_equal(db_write(world.db, put_reset, &ticket), 0);
    call_again();
    assert_int_equal(recovery_finish(world.identity, &world.call, ticket.text, "short"),
                     ERR_INVALID);
    skew_to(RESET_LIFE_MS + 1000);
    call_again();
    assert_int_equal(recovery_finish(world.identity, &world.call, ticket.text, "a brand new one"),
                     ERR_INVALID);
    skew_to(0);
    call_again();
    assert_int_equal(recovery_finish(world.identity, &world.call, ticket.text, "a brand new one"),
                     0);
    call_again();
    assert_int_equal(recovery_finish(world.identity, &world.call, ticket.text, "a brand new one"),
                     ERR_INVALID);
    assert_int_equal(refresh(&in, &in), ERR_UNAUTHENTICATED);
}

static _Atomic bool mails_held, mail_begun;

static void hold_mails(void *argument)
{
    (void)argument;
    mail_begun = true;
    while (mails_held) {
        (void)usleep(1000);
    }
}

static int count_resets(struct db_session *session, void *argument)
{
    int64_t *number = argument; /* the user's, then how many */
    DB_ROWS rows = NULL;
    assert_int_equal(db_query(session, &rows,
                              "SELECT COUNT(*) FROM reset_tokens WHERE user_id = $1",
                              DB_BIND(db_int(*number))),
                     0);
    assert_int_equal(db_next(rows), 1);
    *number = db_get_int(rows, 0);
    return 0;
}

/* Who was told to come again is not told that they have asked already. */
static void a_mail_refused_may_be_asked_for_again(void **state)
{
    (void)state;
    struct signed_in in;
    struct identity *identity = world.identity;
    bool mail = false;
    sign_up("asksagain", &in);
    assert_int_equal(
        mail_open("smtp://127.0.0.1:1", "t@example.org", &identity->mailer, &world.call.problem),
        0);
    assert_int_equal(job_pool_new("mail", 1, 2, &identity->mails), 0);
    mails_held = true;
    assert_int_equal(job_pool_submit(identity->mails, hold_mails, NULL), 0);
    while (!mail_begun) { /* or it would make room once the queue is full */
        (void)usleep(1000);
    }
    while (job_pool_submit(identity->mails, hold_mails, NULL) == 0) {
    }
    assert_int_equal(recovery_begin(identity, &world.call, "asksagain@example.org", &mail),
                     ERR_BUSY);
    mails_held = false;
    int error = ERR_BUSY;
    for (int i = 0; i < 10000 && error == ERR_BUSY; i++) {
        (void)usleep(1000);
        call_again();
        error = recovery_begin(identity, &world.call, "asksagain@example.org", &mail);
    }
    assert_int_equal(error, 0);
    assert_true(mail);
    job_pool_free(identity->mails); /* once all is done */
    mail_close(identity->mailer);
    identity->mails = NULL;
    identity->mailer = NULL;
    int64_t number = in.user.user_id;
    assert_int_equal(db_read(world.db, count_resets, &number), 0);
    assert_int_equal(number, 1);
}

static void erasure_leaves_a_tombstone(void **state)
{
    (void)state;
    struct signed_in in, again;
    sign_up("erased", &in);
    world.call.actor = (struct actor){
        .user_id = in.user.user_id, .session_id = in.session_id, .roles = ROLE_LISTENER};
    int64_t before = count_events("user.deleted");
    assert_int_equal(account_erase(world.identity, &world.call), 0);
    assert_int_equal(count_events("user.deleted"), before + 1);
    struct user user;
    call_again();
    assert_int_equal(account_find(world.identity, &world.call, in.user.user_id, &user),
                     ERR_UNAUTHENTICATED);
    assert_int_equal(refresh(&in, &in), ERR_UNAUTHENTICATED);
    world.call.actor = (struct actor){0};
    sign_up("erased", &again); /* the name is free */
    assert_int_not_equal(again.user.user_id, in.user.user_id);
}

static int64_t find_boss(void)
{
    struct user *users = NULL;
    unsigned count = 0;
    call_again();
    assert_int_equal(account_list(world.identity, &world.call, INT64_MAX, 500, &users, &count), 0);
    assert_string_equal(users[count - 1].username, "boss");
    return users[count - 1].user_id;
}

static void one_admin_stays(void **state)
{
    (void)state;
    int64_t boss = find_boss();
    struct user user;
    static const struct rights_changes changes[] = {{.roles = ROLE_LISTENER, .disabled = -1},
                                                    {.disabled = 1}};
    for (unsigned i = 0; i < 2; i++) {
        call_again();
        assert_int_equal(
            account_change_rights(world.identity, &world.call, boss, &changes[i], 0, &once, &user),
            ERR_CONFLICT);
    }
    world.call.actor = (struct actor){.user_id = boss, .roles = ROLE_ADMIN | ROLE_LISTENER};
    call_again();
    assert_int_equal(account_erase(world.identity, &world.call), ERR_CONFLICT);
    world.call.actor = (struct actor){0};
}

static void grants_add(void **state)
{
    (void)state;
    struct signed_in in;
    struct user user;
    sign_up("granted", &in);
    assert_int_equal(identity_grant(world.identity, &world.call, in.user.user_id, ROLE_ARTIST), 0);
    assert_int_equal(identity_grant(world.identity, &world.call, in.user.user_id, ROLE_ARTIST), 0);
    assert_int_equal(identity_grant(world.identity, &world.call, in.user.user_id, ROLE_SYSTEM),
                     ERR_INVALID);
    assert_int_equal(account_find(world.identity, &world.call, in.user.user_id, &user), 0);
    assert_int_equal(user.roles, ROLE_LISTENER | ROLE_ARTIST);
    assert_int_equal(user.revision, 2);
    assert_int_equal(renew(&in), 0);
}

/* What hashes is given a password, and its body is to be overwritten (net/http.h). */
static void bodies_with_passwords_are_secret(void **state)
{
    (void)state;
    unsigned count = 0, hashing = 0;
    const struct route *routes = identity_routes(&count);
    for (unsigned i = 0; i < count; i++) {
        hashing += routes[i].run == ROUTE_HASH;
        assert_true(routes[i].run != ROUTE_HASH || (routes[i].flags & ROUTE_SECRET_BODY) != 0);
    }
    assert_int_equal(hashing, 7);
}

static int set_up(void **state)
{
    (void)state;
    char url[128], keys[96];
    (void)snprintf(world.directory, sizeof world.directory, "/tmp/tutti-test-identity-XXXXXX");
    if (mkdtemp(world.directory) == NULL) {
        return -1;
    }
    (void)snprintf(url, sizeof url, "sqlite:%s/users.db", world.directory);
    (void)snprintf(keys, sizeof keys, "%s/keys", world.directory);
    struct problem problem = {0};
    id_init(1, 0);
    world.call.arena = arena_new(0);
    int error = db_open(url, "users", &world.db, &problem);
    error = error != 0 ? error : bus_open("local:", &world.bus, &problem);
    error = error != 0 ? error : bus_attach(world.bus, world.db, &problem);
    const struct identity_config config = {.users = world.db,
                                           .keys_path = keys,
                                           .data_path = world.directory,
                                           .public_url = "http://localhost:4040",
                                           .default_plan = "premium"};
    error = error != 0 ? error : identity_open(&config, &world.identity, &problem);
    if (error != 0) {
        print_error("%s: %s\n", error_name(error), problem.detail);
    }
    return error;
}

static int tear_down(void **state)
{
    (void)state;
    identity_close(world.identity);
    bus_close(world.bus);
    db_close(world.db);
    arena_free(world.call.arena);
    char command[128];
    (void)snprintf(command, sizeof command, "rm -r %s", world.directory);
    return system(command);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_admin),
        /* Before the tests that go days ahead: ids never go back. */
        cmocka_unit_test(old_session_needs_the_password_for_the_address),
        cmocka_unit_test(rotation_and_grace),
        cmocka_unit_test(late_reuse_ends_the_family),
        cmocka_unit_test(sessions_run_out),
        cmocka_unit_test(siblings_are_bounded),
        cmocka_unit_test(sessions_are_listed),
        cmocka_unit_test(sessions_are_bounded),
        cmocka_unit_test(log_in_by_name_or_address),
        cmocka_unit_test(owner_at_home_is_not_kept_out),
        cmocka_unit_test(owner_is_known_by_the_network),
        cmocka_unit_test(password_change_ends_others),
        cmocka_unit_test(present_password_is_guessed_slowly),
        cmocka_unit_test(log_in_while_disabled),
        cmocka_unit_test(log_in_while_the_password_changes),
        cmocka_unit_test(renewed_hash_while_the_password_changes),
        cmocka_unit_test(log_in_while_roles_change),
        cmocka_unit_test(token_signed_after_roles_changed),
        cmocka_unit_test(own_changes_while_an_admin_sets_the_password),
        cmocka_unit_test(disabled_is_not_renewed),
        cmocka_unit_test(ended_session_is_not_renewed),
        cmocka_unit_test(reset_once_within_the_hour),
        cmocka_unit_test(a_mail_refused_may_be_asked_for_again),
        cmocka_unit_test(erasure_leaves_a_tombstone),
        cmocka_unit_test(one_admin_stays),
        cmocka_unit_test(grants_add),
        cmocka_unit_test(bodies_with_passwords_are_secret),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
