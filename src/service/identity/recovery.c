/* Forgotten passwords: a mail with a ticket that sets a new one, once, within the hour.
 *
 * Looking the address up and sending happen on a small pool of our own after the answer, so that
 * neither the answer nor its time says whether the address is known. A crash in between loses the
 * mail, never anything else: the person asks again. The ticket goes behind a # of the link, which
 * no browser sends and no access log keeps.
 */
#include "backend/mail/mail.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "net/jobs.h"
#include "service/identity/delays.h"
#include "service/identity/identity_private.h"
#include "service/identity/keys.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BODY_MAX = 2048, SUBJECT_MAX = 128 };

/* --- notes --- */

struct note {
    struct mailer *mailer;
    char to[EMAIL_BYTES_MAX + 1];
    char subject[SUBJECT_MAX];
    char text[BODY_MAX];
};

/* The top of the mail pool's work: it logs, since nobody else hears of it. */
static void send_note(void *argument)
{
    struct note *note = argument;
    int error = mail_send(note->mailer, note->to, note->subject, note->text);
    if (error != 0) {
        log_event(LOG_WARNING, "mail.failed", log_text("error", error_name(error)));
    }
    sodium_memzero(note, sizeof *note);
    free(note);
}

void recovery_notify(struct identity *identity, const char *email, const char *subject,
                     const char *text)
{
    struct note *note = identity->mailer != NULL ? calloc(1, sizeof *note) : NULL;
    if (note == NULL) {
        return;
    }
    note->mailer = identity->mailer;
    (void)snprintf(note->to, sizeof note->to, "%s", email);
    (void)snprintf(note->subject, sizeof note->subject, "%s", subject);
    (void)snprintf(note->text, sizeof note->text, "%s", text);
    if (job_pool_submit(identity->mails, send_note, note) != 0) {
        free(note);
    }
}

/* --- asking --- */

struct request_of_reset {
    struct job job;
    struct identity *identity;
    struct arena *arena;
    char login[3 * EMAIL_BYTES_MAX]; /* folded */
    struct user user;
    struct ticket ticket;
};

static int write_reset_token(struct db_session *session, void *argument)
{
    struct request_of_reset *asked = argument;
    int64_t user_id = 0;
    int error = user_store_find_login(session, asked->login, &user_id);
    if (error == 0) {
        error = user_store_find(session, asked->arena, user_id, &asked->user);
    }
    if (error == 0 && (asked->user.email == NULL || asked->user.disabled_at != 0)) {
        error = ERR_NOT_FOUND;
    }
    if (error != 0) {
        return error;
    }
    ticket_make(key_ring_seal_key(asked->identity->keys), TICKET_RESET, user_id, 0, &asked->ticket);
    error = reset_store_delete_all(session, user_id);
    return error != 0 ? error
                      : reset_store_insert(session, user_id, asked->ticket.hash,
                                           clock_wall_ms() + RESET_LIFE_MS);
}

static void mail_ticket(struct request_of_reset *asked)
{
    char text[BODY_MAX];
    (void)snprintf(text, sizeof text,
                   "Somebody, hopefully you, wants to set a new password for the account %s at "
                   "%s.\n\nOpen this link within the hour to choose it:\n\n%s/#/reset/%s\n\n"
                   "If it was not you, do nothing: the password stays as it is.\n",
                   asked->user.username, asked->identity->public_url, asked->identity->public_url,
                   asked->ticket.text);
    int error = mail_send(asked->identity->mailer, asked->user.email, "Set a new password", text);
    if (error != 0) {
        log_event(LOG_WARNING, "mail.failed", log_text("error", error_name(error)));
    }
    sodium_memzero(text, sizeof text);
}

static void begin_in_background(void *argument)
{
    struct request_of_reset *asked = argument;
    asked->arena = arena_new(0);
    int error = asked->arena != NULL ? db_write(asked->identity->users, write_reset_token, asked)
                                     : ERR_NO_MEMORY;
    if (error == 0) {
        mail_ticket(asked);
    } else if (error != ERR_NOT_FOUND) {
        log_event(LOG_WARNING, "reset.failed", log_text("error", error_name(error)));
    }
    arena_free(asked->arena);
    sodium_memzero(asked, sizeof *asked);
    free(asked);
}

/* One mail a minute to an address, whoever asks. */
static bool asked_lately(struct identity *identity, const char *login)
{
    struct delay_keys keys = delays_keys(identity->delays, login, "@reset");
    int64_t now_ms = clock_monotonic_ms();
    return !delays_once(identity->delays, keys.keys[DELAY_PAIR], MAIL_EVERY_MS, now_ms);
}

/* The place in the queue comes first, so that a mail for which there is none does not count as
 * asked for. */
static int submit(struct identity *identity, struct call *call, const char *login)
{
    struct request_of_reset *asked = calloc(1, sizeof *asked);
    if (asked == NULL) {
        return ERR_NO_MEMORY;
    }
    if (job_pool_claim(identity->mails, JOB_PLAY) != 0) {
        free(asked);
        call->problem.retry_after_s = 5;
        return problem_set(&call->problem, ERR_BUSY, "Too many mails are waiting to be sent");
    }
    if (asked_lately(identity, login)) {
        job_pool_unclaim(identity->mails);
        free(asked);
        return 0;
    }
    asked->identity = identity;
    (void)snprintf(asked->login, sizeof asked->login, "%s", login);
    asked->job = (struct job){.run = begin_in_background, .argument = asked};
    job_pool_push(identity->mails, &asked->job);
    return 0;
}

int recovery_begin(struct identity *identity, struct call *call, const char *email, bool *ret_mail)
{
    *ret_mail = identity->mailer != NULL;
    const char *login = name_fold_login(call, email);
    if (identity->mailer != NULL && !mail_is_up(identity->mailer)) { /* whoever asks */
        call->problem.retry_after_s = 30;
        return problem_set(&call->problem, ERR_UNAVAILABLE, "Mail can't be sent right now");
    }
    return identity->mailer == NULL || login == NULL ? 0 : submit(identity, call, login);
}

/* --- the new password --- */

static int bad_token(struct problem *problem)
{
    return problem_field(problem, "token",
                         "is used up, has run out or is none of this server's; ask for a new mail");
}

int recovery_finish(struct identity *identity, struct call *call, const char *token,
                    const char *password)
{
    struct ticket ticket;
    if (!ticket_read(key_ring_seal_key(identity->keys), TICKET_RESET, token, &ticket)) {
        return bad_token(&call->problem);
    }
    int error = account_set_password(identity, call, ticket.user_id, &ticket, password);
    sodium_memzero(&ticket, sizeof ticket);
    if (error == ERR_NOT_FOUND) {
        problem_reset(&call->problem);
        return bad_token(&call->problem);
    }
    return error;
}
