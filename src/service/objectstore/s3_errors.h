/* S3's errors: their words, our codes (whose HTTP statuses are S3's), and the usual message. */
#pragma once

struct request;

/* X(constant, word, code, message) */
#define S3_ERROR_LIST(X)                                                                           \
    X(S3_ACCESS_DENIED, "AccessDenied", ERR_FORBIDDEN, "Access denied")                            \
    X(S3_EXPIRED, "AccessDenied", ERR_FORBIDDEN, "Request has expired")                            \
    X(S3_NOT_YET, "AccessDenied", ERR_FORBIDDEN, "Request is not yet valid")                       \
    X(S3_NOT_SIGNED, "AccessDenied", ERR_FORBIDDEN,                                                \
      "There were headers present in the request which were not signed")                           \
    X(S3_SIGNATURE, "SignatureDoesNotMatch", ERR_FORBIDDEN,                                        \
      "The signature is not the one that key, method, address and headers give")                   \
    X(S3_KEY_ID, "InvalidAccessKeyId", ERR_FORBIDDEN, "There is no such access key")               \
    X(S3_SKEWED, "RequestTimeTooSkewed", ERR_FORBIDDEN,                                            \
      "The request's time is more than 15 minutes off the server's")                               \
    X(S3_REQUEST, "InvalidRequest", ERR_MALFORMED, "What is asked for can't be done")              \
    X(S3_SCHEME, "InvalidRequest", ERR_MALFORMED,                                                  \
      "This way of signing is not supported. Please use AWS4-HMAC-SHA256")                         \
    X(S3_AUTHORIZATION, "AuthorizationHeaderMalformed", ERR_MALFORMED,                             \
      "The signature can't be read: it must be AWS4-HMAC-SHA256, of this day, for s3")             \
    X(S3_AUTHORIZATION_QUERY, "AuthorizationQueryParametersError", ERR_MALFORMED,                  \
      "The address's signature can't be read: it must be AWS4-HMAC-SHA256, of its day, for s3, "   \
      "and hold for 1 to 604800 seconds")                                                          \
    X(S3_NO_KEY, "NoSuchKey", ERR_NOT_FOUND, "There is no such object")                            \
    X(S3_NO_BUCKET, "NoSuchBucket", ERR_NOT_FOUND, "There is no such bucket")                      \
    X(S3_NO_UPLOAD, "NoSuchUpload", ERR_NOT_FOUND,                                                 \
      "There is no such upload; it may have been completed or aborted")                            \
    X(S3_ARGUMENT, "InvalidArgument", ERR_MALFORMED, "An argument can't be used")                  \
    X(S3_KEY_TOO_LONG, "KeyTooLongError", ERR_MALFORMED, "A key has at most 1024 bytes")           \
    X(S3_BUCKET_NAME, "InvalidBucketName", ERR_MALFORMED,                                          \
      "A bucket has 3 to 63 of a-z 0-9 . - and starts and ends with a letter or digit")            \
    X(S3_BUCKET_EXISTS, "BucketAlreadyOwnedByYou", ERR_EXISTS, "The bucket is there already")      \
    X(S3_BUCKET_NOT_EMPTY, "BucketNotEmpty", ERR_CONFLICT, "The bucket still holds objects")       \
    X(S3_META_TOO_LARGE, "MetadataTooLarge", ERR_MALFORMED,                                        \
      "The x-amz-meta- headers have at most 2 KiB, all headers kept with an object 4 KiB")         \
    X(S3_DIGEST, "InvalidDigest", ERR_MALFORMED, "Content-MD5 is no MD5 in base64")                \
    X(S3_BAD_DIGEST, "BadDigest", ERR_MALFORMED, "The body is not the one the checksum is of")     \
    X(S3_SHA256, "XAmzContentSHA256Mismatch", ERR_MALFORMED,                                       \
      "The body is not the one x-amz-content-sha256 is of")                                        \
    X(S3_INCOMPLETE, "IncompleteBody", ERR_MALFORMED,                                              \
      "The body is not of the length that was said, or not in chunks as said")                     \
    X(S3_TRAILER, "MalformedTrailerError", ERR_MALFORMED,                                          \
      "Behind the body stands another checksum than x-amz-trailer says")                           \
    X(S3_LENGTH, "MissingContentLength", ERR_LENGTH_REQUIRED, "Content-Length is needed")          \
    X(S3_TOO_LARGE, "EntityTooLarge", ERR_MALFORMED, "An object or part has at most 5 GiB here")   \
    X(S3_TOO_SMALL, "EntityTooSmall", ERR_MALFORMED, "A part but the last has at least 5 MiB")     \
    X(S3_PART, "InvalidPart", ERR_MALFORMED, "A part is missing or has another ETag")              \
    X(S3_PART_NUMBER, "InvalidPartNumber", ERR_RANGE, "The object has no part of that number")     \
    X(S3_PART_ORDER, "InvalidPartOrder", ERR_MALFORMED, "The parts' numbers must rise")            \
    X(S3_XML, "MalformedXML", ERR_MALFORMED, "The XML is not of the form that is wanted here")     \
    X(S3_PRECONDITION, "PreconditionFailed", ERR_PRECONDITION, "A condition does not hold")        \
    X(S3_NOT_IMPLEMENTED, "NotImplemented", ERR_UNSUPPORTED,                                       \
      "This store does not know that part of the API")

enum s3_error {
#define X(constant, word, code, message) constant,
    S3_ERROR_LIST(X)
#undef X
};

/* Sets the word and the message for the answer and returns the code. */
int s3_fail(struct request *request, enum s3_error error);
/* As s3_fail, with a message of one's own (static or in the arena). */
int s3_fail_with(struct request *request, enum s3_error error, const char *message);
/* For an error of backend/blob that is no S3 error of its own (a full disk): passes it on. */
int s3_fail_code(struct request *request, int code);
