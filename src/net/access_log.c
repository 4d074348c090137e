/* The access log (access_log.h): a JSON line by base/log.h. What is logged of the path is the
 * route's pattern, so that tokens in paths (/m/{token}/…) and in queries never are. */
#include "net/access_log.h"

#include "base/log.h"
#include "net/server.h"

void access_log_request(struct request_private *request, int64_t duration_us, bool sent)
{
    const struct request *public_ = &request->request;
    log_event(LOG_INFO, "request", log_text("method", public_->method),
              log_text("route", request->entry != NULL ? request->entry->row->pattern : ""),
              log_number("status", request->reply.status), log_number("bytes", request->sent_bytes),
              log_number("us", duration_us), log_text("remote", public_->remote),
              log_number("user", public_->call.actor.user_id),
              log_text("request_id", public_->call.request_id), log_number("whole", sent));
}
