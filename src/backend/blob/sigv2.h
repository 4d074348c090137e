/* Signature Version 2 in a query ("Query String Request Authentication Alternative" of the older
 * Amazon S3 guides): the pre-signed URLs that the AWS command line, boto3 and s3cmd make unless
 * told otherwise.
 *
 *   AWSAccessKeyId=…&Expires={seconds since 1970}&Signature={base64}
 *   Signature = HMAC-SHA1(secret, method LF Content-MD5 LF Content-Type LF Expires LF
 *               path[?sub-resources])
 *
 * Taken in the query only: what is signed in a header must be version 4. HMAC-SHA1 is not broken;
 * but neither the host nor all of the query is signed, so this is for keys of outside users, whose
 * programs make such URLs, and never for our own. Pure functions, any thread. */
#pragma once

#include "backend/blob/sigv4.h"

/* True where the query holds such a signature. */
bool sigv2_presigned(const struct sigv4_request *request);
/* As sigv4_verify; request->forms count by their paths. *ret_signed says what a version 4 URL
 * without signed headers would: no x-amz- header is covered. */
enum sigv4_result sigv2_verify(struct arena *arena, const struct sigv4_request *request,
                               struct sigv4_signed *ret_signed);
