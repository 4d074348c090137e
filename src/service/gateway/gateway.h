/* gateway: the web app's files, out of the program itself.
 *
 * Opened by boot where the role runs; its routes run on loop threads, allocate nothing beyond their
 * request's arena and touch no disk but the pages of the program. The app routes by path
 * ("/album/7"), so a path that names no file and belongs to nobody else is answered with the app's
 * page. The app's paths have at most two segments: deeper unknown ones are 404, and no row of ours
 * hides the methods of another's path.
 */
#pragma once

struct gateway;
struct problem;
struct route;

struct gateway_config {
    const char *base_path;  /* "" or "/tutti": where the app finds its files */
    const char *media_url;  /* where media is fetched from, "" for the server itself */
    const char *upload_url; /* where parts of uploads are PUT to, "" for the server itself */
};

/* ERR_INVALID names the URL that can't stand in a security policy. Texts are copied. */
int gateway_open(const struct gateway_config *config, struct gateway **ret_gateway,
                 struct problem *problem);
void gateway_close(struct gateway *gateway);
/* The role's rows for http_server_add_routes (context: the gateway). */
const struct route *gateway_routes(unsigned *ret_count);
