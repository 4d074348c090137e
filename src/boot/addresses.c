/* What of a configuration only its readers understand (addresses.h): where to listen, engines'
 * addresses, edges, mail, proxies, roles. The start finds the same, one by one. */
#include "boot/addresses.h"

#include "backend/blob/blob.h"
#include "backend/bus/bus_address.h"
#include "backend/db/db.h"
#include "backend/edge/edge.h"
#include "backend/index/index.h"
#include "backend/mail/mail.h"
#include "base/error.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/config.h"
#include "boot/place.h"
#include "boot/platform.h"
#include "net/http.h"
#include "net/listen.h"

#include <sodium.h>
#include <string.h>

/* One URL, or several divided by spaces. */
static int check_databases(const struct config *config, enum config_setting setting,
                           struct problem *problem)
{
    char *urls CLEANUP_FREE = strdup(config_text(config, setting));
    char *rest = NULL;
    int error = urls != NULL ? 0 : ERR_NO_MEMORY;
    for (char *url = error == 0 ? strtok_r(urls, " ", &rest) : NULL; error == 0 && url != NULL;
         url = strtok_r(NULL, " ", &rest)) {
        error = db_url_check(url, config_row(setting)->key, problem);
    }
    return error;
}

static int check_bus(const struct config *config, struct problem *problem)
{
    struct bus_address address;
    int error = bus_address_parse(config_text(config, CONFIG_BUS_STORE), &address, problem);
    sodium_memzero(&address, sizeof address);
    return error;
}

static int check_all_databases(const struct config *config, struct problem *problem)
{
    static const enum config_setting databases[] = {
        CONFIG_DATABASE_CATALOG,           CONFIG_DATABASE_CATALOG_DIRECT,
        CONFIG_DATABASE_CATALOG_REPLICAS,  CONFIG_DATABASE_USERS,
        CONFIG_DATABASE_USERS_DIRECT,      CONFIG_DATABASE_USERS_REPLICAS,
        CONFIG_DATABASE_ACTIVITY,          CONFIG_DATABASE_ACTIVITY_DIRECT,
        CONFIG_DATABASE_ACTIVITY_REPLICAS,
    };
    int error = 0;
    for (size_t i = 0; error == 0 && i < COUNT_OF(databases); i++) {
        error = check_databases(config, databases[i], problem);
    }
    return error;
}

static int check_edges(const struct config *config, struct problem *problem)
{
    struct edges *edges = NULL;
    int error = edges_open(config_text(config, CONFIG_EDGE_URLS), &edges, problem);
    if (error == 0) {
        edges_close(edges);
    }
    return error;
}

static int check_mail(const struct config *config, struct problem *problem)
{
    struct mailer *mailer = NULL;
    int error = mail_open(config_text(config, CONFIG_MAIL_URL),
                          config_text(config, CONFIG_MAIL_FROM), &mailer, problem);
    if (error == 0) {
        mail_close(mailer);
    }
    return error;
}

static int check_roles(const struct config *config, struct problem *problem)
{
    unsigned roles;
    return platform_parse_roles(config_text(config, CONFIG_SERVER_ROLES), &roles, problem);
}

int addresses_check(const struct config *config, struct problem *problem)
{
    int error = listen_check(config_text(config, CONFIG_SERVER_LISTEN), problem);
    error = error != 0 ? error : blob_url_check(config_text(config, CONFIG_BLOB_STORE), problem);
    error = error != 0 ? error : check_bus(config, problem);
    error = error != 0 ? error : index_url_check(config_text(config, CONFIG_SEARCH_STORE), problem);
    error = error != 0 ? error : check_all_databases(config, problem);
    error = error != 0 ? error : place_check_apart(config, problem);
    error = error != 0 ? error : check_edges(config, problem);
    error = error != 0 ? error : check_mail(config, problem);
    error = error != 0
                ? error
                : http_proxies_check(config_text(config, CONFIG_SERVER_TRUSTED_PROXIES), problem);
    return error != 0 ? error : check_roles(config, problem);
}
