# An edge of Tutti on Varnish 7.1 with varnish-modules and vmod-digest: checks the token of a media address itself,
# keeps an object once for all listeners, and goes on serving what it holds while the origin is away.
#
#   /m/{exp}~{track}.{version}.{ceiling}~{hmac}/{track}/{version}/{file}     src/service/streaming/edge_token.h
#   /m/{track}/{version}/{file}                                              the cache's key
#
# Fill it in by deploy/render.py; docs/operations.md has the steps. Run varnishd with
#   -p vsl_mask=-ReqURL,-BereqURL,-ReqHeader,-BereqHeader,-HttpGarbage -p http_gzip_support=off
# so that no token is in varnishlog; VCL_Log:path has the address without it.
#
#: ORIGIN                   where the files come from, HOST:PORT; several are taken in turn
#: ORIGIN_KIND = tutti      tutti: its /m/, asked with a token that this edge signs; s3: a bucket that we may read m/ of
#: ORIGIN_PATH =            what stands before /m/ there: the base path, or /BUCKET
#: ORIGIN_PROBE = /readyz   answers 200 while the origin works
#: KEYS                     the file that deploy/edge-keys.sh writes
#: PURGER = 127.0.0.1       addresses that may purge: those of Tutti's streaming processes

vcl 4.1;

import digest;
import directors;
import std;
import var;
import xkey;

include "@KEYS@";

acl purgers {
    "@PURGER@";
}

probe origin {
    .request = "GET @ORIGIN_PROBE@ HTTP/1.1" "Host: edge" "Connection: close";
    .interval = 1s;
    .timeout = 2s;
    .window = 3;
    .threshold = 2;
    .initial = 2;
}

backend origin@ORIGIN.n@ { .host = "@ORIGIN.host@"; .port = "@ORIGIN.port@"; .probe = origin; .connect_timeout = 1s; .first_byte_timeout = 10s; .between_bytes_timeout = 10s; }

sub vcl_init {
    new origins = directors.round_robin();
    origins.add_backend(origin@ORIGIN.n@);
}

sub vcl_recv {
    set req.backend_hint = origins.backend();
    if (req.restarts > 0) {
        # The origin failed although it seems healthy: whatever is held will do.
        set req.grace = 7d;
        return (hash);
    }
    if (req.url == "/healthz") {
        return (synth(200));
    }
    if (req.method == "PURGE") {
        call edge_purge;
    }
    if (req.method == "OPTIONS") {
        return (synth(204));
    }
    if (req.method != "GET" && req.method != "HEAD") {
        return (synth(405));
    }
    unset req.http.Authorization;
    unset req.http.Cookie;
    call edge_admit;
    # A manifest that grows is up to ten seconds old, but any age will do when there is no other.
    set req.grace = 10s;
    if (!std.healthy(req.backend_hint)) {
        set req.grace = 7d;
    }
    return (hash);
}

# Forgets all of a track, or of one of its versions. Whoever comes through a proxy comes from the world.
#
# What is being fetched is not there yet to be forgotten, and the origin may have answered before it heard of the
# deletion. So the last purge of every hundredth of the tracks is kept (edge.NN), and a fetch that finds another one at
# its end than at its beginning is not kept; who asked for it looks once more when it is surely in the cache.
sub edge_purge {
    if (client.ip !~ purgers || req.http.X-Forwarded-For != "" + client.ip) {
        return (synth(403));
    }
    if (req.url !~ "^/m/[1-9][0-9]{0,18}/([1-9][0-9]{0,9}/)?$") {
        return (synth(400));
    }
    var.global_set("edge." + regsub(req.url, "^/m/[0-9]*?([0-9]{1,2})/.*$", "\1"), "" + req.xid);
    if (req.url ~ "^/m/[1-9][0-9]{0,18}/$") {
        set req.http.X-Purged = xkey.purge(regsub(req.url, "^/m/([0-9]+)/$", "t\1"));
    } else {
        set req.http.X-Purged = xkey.purge(regsub(req.url, "^/m/([0-9]+)/([0-9]+)/$", "v\1.\2"));
    }
    return (synth(200));
}

# Refuses, or cuts the token off. Secrets and tokens are kept in vmod_var, which logs nothing.
#
# VCL compares strings byte by byte, so how long it takes tells how far a guess is right. Therefore the HMACs of the
# guess and of what is right are compared: how far those agree tells a stranger nothing.
sub edge_admit {
    if (req.url !~ "^/m/[0-9]{1,15}~[1-9][0-9]{0,18}\.[1-9][0-9]{0,9}\.(96|160|320|lossless)~[0-9a-f]{64}/[1-9][0-9]{0,18}/[1-9][0-9]{0,9}/[A-Za-z0-9][A-Za-z0-9._-]{0,63}(\?|$)") {
        return (synth(403));
    }
    var.set("signed", regsub(req.url, "^/m/([^/]+)~[0-9a-f]{64}/.*$", "\1"));
    var.set("given", regsub(req.url, "^/m/[^/]+~([0-9a-f]{64})/.*$", "\1"));
    var.set("ceiling", regsub(var.get("signed"), "^.*\.", ""));
    set req.url = regsub(req.url, "^/m/[^/]+(/[^?]*).*$", "/m\1");
    std.log("path:" + req.url);
    call edge_keys;
    if (digest.hmac_sha256(var.get("key"), var.get("given"))
            != digest.hmac_sha256(var.get("key"), regsub(digest.hmac_sha256(var.get("key"), var.get("signed")), "^0x", ""))
        && digest.hmac_sha256(var.get("key"), var.get("given"))
            != digest.hmac_sha256(var.get("key"), regsub(digest.hmac_sha256(var.get("former"), var.get("signed")), "^0x", ""))) {
        return (synth(403));
    }
    if (std.integer(regsub(var.get("signed"), "~.*$", ""), 0) <= std.time2integer(now, 0)) {
        return (synth(403));
    }
    if (regsub(var.get("signed"), "^[0-9]+~(.*\.)[^.]+$", "\1") != regsub(req.url, "^/m/([0-9]+)/([0-9]+)/.*$", "\1.\2.")) {
        return (synth(403));
    }
    # A name that is none of these counts as lossless.
    if (var.get("ceiling") + regsub(req.url, "^.*/", "/") !~ "^(lossless/|320/(aac|mp3|opus|vorbis|hls|dash)-(96|160|320)(\.|$)|160/(aac|mp3|opus|vorbis|hls|dash)-(96|160)(\.|$)|96/(aac|mp3|opus|vorbis|hls|dash)-96(\.|$))") {
        return (synth(403));
    }
}

sub vcl_hash {
    hash_data(req.url);
    return (lookup);
}

sub vcl_miss {
    var.set("missed", "yes");
    var.set("purge", "" + var.global_get("edge." + regsub(req.url, "^/m/[0-9]*?([0-9]{1,2})/.*$", "\1")));
    return (fetch);
}

sub vcl_backend_fetch {
    var.set("purge", "" + var.global_get("edge." + regsub(bereq.url, "^.*/[0-9]*?([0-9]{1,2})/[0-9]+/[^/]+$", "\1")));
    unset bereq.http.X-Forwarded-For;
    unset bereq.http.Host;
    if (bereq.retries == 0) {
        if ("@ORIGIN_KIND@" == "tutti") {
            call edge_keys;
            var.set("grant", std.time2integer(now + 1h, 0) + regsub(bereq.url, "^/m/([0-9]+)/([0-9]+)/.*$", "~\1.\2.lossless"));
            set bereq.url = regsub(bereq.url, "^/m", "/m/" + var.get("grant") + regsub(digest.hmac_sha256(var.get("key"), var.get("grant")), "^0x", "~"));
        }
        set bereq.url = "@ORIGIN_PATH@" + bereq.url;
    }
    return (fetch);
}

sub vcl_backend_response {
    if (beresp.status >= 500) {
        # Nothing is kept of it, so that what is held goes on being served.
        if (!bereq.is_bgfetch && bereq.retries == 0) {
            return (retry);
        }
        return (abandon);
    }
    if (beresp.status == 401 || beresp.status == 403) {
        set beresp.status = 404; # how S3 says that there is no such object, to who may not list
    }
    if (beresp.status != 200) {
        set beresp.ttl = 1s;
        set beresp.grace = 0s;
        set beresp.keep = 0s;
        return (deliver);
    }
    set beresp.http.xkey = regsub(bereq.url, "^.*/([0-9]+)/([0-9]+)/[^/]+$", "t\1 v\1.\2");
    unset beresp.http.Set-Cookie;
    unset beresp.http.Vary;
    if (bereq.url ~ "/original[^/]*$") {
        call edge_original;
    }
    # A store does not say for how long: a manifest grows, all else never changes.
    if (!beresp.http.Cache-Control && bereq.url ~ "\.(m3u8|mpd)$") {
        set beresp.ttl = 5s;
        set beresp.http.Cache-Control = "public, max-age=5";
    } elsif (!beresp.http.Cache-Control) {
        set beresp.ttl = 365d;
        set beresp.http.Cache-Control = "public, max-age=31536000, immutable";
    }
    set beresp.grace = 7d;
    set beresp.keep = 1d;
    if (var.get("purge") != "" + var.global_get("edge." + regsub(bereq.url, "^.*/[0-9]*?([0-9]{1,2})/[0-9]+/[^/]+$", "\1"))) {
        set beresp.uncacheable = true;
        set beresp.ttl = 0s;
        set beresp.grace = 0s;
        set beresp.keep = 0s;
    }
    return (deliver);
}

# An original has the type that its uploader named; here it gets one by its name, so that no upload becomes a page.
sub edge_original {
    set beresp.ttl = 365d;
    set beresp.http.Cache-Control = "public, max-age=31536000, immutable";
    set beresp.http.Content-Type = "application/octet-stream";
    if (bereq.url ~ "(?i)\.wav$") {
        set beresp.http.Content-Type = "audio/wav";
    } elsif (bereq.url ~ "(?i)\.flac$") {
        set beresp.http.Content-Type = "audio/flac";
    } elsif (bereq.url ~ "(?i)\.aiff?$") {
        set beresp.http.Content-Type = "audio/aiff";
    } elsif (bereq.url ~ "(?i)\.mp3$") {
        set beresp.http.Content-Type = "audio/mpeg";
    } elsif (bereq.url ~ "(?i)\.aac$") {
        set beresp.http.Content-Type = "audio/aac";
    } elsif (bereq.url ~ "(?i)\.(m4a|mp4|alac)$") {
        set beresp.http.Content-Type = "audio/mp4";
    } elsif (bereq.url ~ "(?i)\.wv$") {
        set beresp.http.Content-Type = "audio/x-wavpack";
    } elsif (bereq.url ~ "(?i)\.(ogg|oga|opus)$") {
        set beresp.http.Content-Type = "audio/ogg";
    }
}

sub vcl_backend_error {
    if (!bereq.is_bgfetch && bereq.retries == 0) {
        return (retry);
    }
    return (abandon);
}

sub vcl_deliver {
    if (var.get("missed") == "yes" && var.get("purge") != "" + var.global_get("edge." + regsub(req.url, "^/m/[0-9]*?([0-9]{1,2})/.*$", "\1"))) {
        set req.http.X-Purged = xkey.purge(regsub(req.url, "^/m/([0-9]+)/.*$", "t\1"));
    }
    if (resp.status == 404 && resp.http.Content-Type != "application/problem+json") {
        return (synth(404)); # in our words, not the store's
    }
    unset resp.http.xkey;
    unset resp.http.X-Varnish;
    unset resp.http.Via;
    unset resp.http.Tutti-Seen;
    set resp.http.X-Cache = "miss";
    if (obj.hits > 0) {
        set resp.http.X-Cache = "hit";
    }
    set resp.http.Access-Control-Allow-Origin = "*";
    set resp.http.Access-Control-Expose-Headers = "Accept-Ranges, Content-Length, Content-Range, ETag";
    set resp.http.X-Content-Type-Options = "nosniff";
    set resp.http.Cross-Origin-Resource-Policy = "cross-origin";
    return (deliver);
}

sub vcl_synth {
    if (resp.status == 503 && req.restarts == 0) {
        return (restart);
    }
    unset resp.http.X-Varnish;
    set resp.http.Access-Control-Allow-Origin = "*";
    set resp.http.X-Content-Type-Options = "nosniff";
    set resp.http.Cross-Origin-Resource-Policy = "cross-origin";
    set resp.http.Cache-Control = "no-store";
    if (resp.status == 204) {
        unset resp.http.Cache-Control;
        set resp.http.Access-Control-Allow-Methods = "GET, HEAD";
        set resp.http.Access-Control-Allow-Headers = "Range, If-Range, If-None-Match";
        set resp.http.Access-Control-Max-Age = "7200";
        return (deliver);
    }
    if (resp.status == 200) {
        set resp.http.Content-Type = "text/plain";
        if (req.method == "PURGE") {
            set resp.http.X-Purged = req.http.X-Purged;
        }
        synthetic("");
        return (deliver);
    }
    set resp.http.Content-Type = "application/problem+json";
    set resp.http.Content-Security-Policy = "default-src 'none'; frame-ancestors 'none'; sandbox";
    if (resp.status == 403) {
        synthetic("""{"type":"urn:tutti:error:forbidden","title":"Not allowed","status":403,"detail":"The address has run out, was never signed, or is signed for something else; ask for a new one"}""");
    } elsif (resp.status == 404) {
        synthetic("""{"type":"urn:tutti:error:not-found","title":"Not found","status":404}""");
    } elsif (resp.status == 503) {
        set resp.http.Retry-After = "1";
        synthetic("""{"type":"urn:tutti:error:unavailable","title":"Not available right now","status":503,"detail":"The origin can't be reached and this edge has no copy"}""");
    } else {
        synthetic("""{"type":"about:blank","title":"Refused","status":""" + resp.status + "}");
    }
    return (deliver);
}
