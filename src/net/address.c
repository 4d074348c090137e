/* Addresses (address.h). */
#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <string.h>
#include <strings.h>

enum { ENTRY_MAX = 128, MAPPED_BITS = 96 };

static const uint8_t mapped_prefix[12] = {[10] = 0xff, [11] = 0xff};

static bool is_mapped(const struct address *address)
{
    return memcmp(address->bytes, mapped_prefix, sizeof mapped_prefix) == 0;
}

static struct address from_ipv4(const void *bytes)
{
    struct address address;
    memcpy(address.bytes, mapped_prefix, sizeof mapped_prefix);
    memcpy(address.bytes + sizeof mapped_prefix, bytes, 4);
    return address;
}

struct address address_of(const struct sockaddr *socket_address)
{
    struct address address = {{0}};
    if (socket_address->sa_family == AF_INET) {
        struct sockaddr_in ipv4;
        memcpy(&ipv4, socket_address, sizeof ipv4);
        address = from_ipv4(&ipv4.sin_addr);
    } else if (socket_address->sa_family == AF_INET6) {
        struct sockaddr_in6 ipv6;
        memcpy(&ipv6, socket_address, sizeof ipv6);
        memcpy(address.bytes, &ipv6.sin6_addr, sizeof address.bytes);
    }
    return address;
}

bool address_parse(const char *text, struct address *ret_address)
{
    uint8_t ipv4[4];
    if (inet_pton(AF_INET, text, ipv4) == 1) {
        *ret_address = from_ipv4(ipv4);
        return true;
    }
    return inet_pton(AF_INET6, text, ret_address->bytes) == 1;
}

void address_format(const struct address *address, char out[ADDRESS_TEXT_SIZE])
{
    if (is_mapped(address)) {
        (void)inet_ntop(AF_INET, address->bytes + sizeof mapped_prefix, out, ADDRESS_TEXT_SIZE);
    } else {
        (void)inet_ntop(AF_INET6, address->bytes, out, ADDRESS_TEXT_SIZE);
    }
}

struct address address_owner(const struct address *address)
{
    struct address owner = *address;
    if (!is_mapped(address)) {
        memset(owner.bytes + 8, 0, 8);
    }
    return owner;
}

struct address address_owner_of(const char *text)
{
    struct address address = {{0}};
    if (address_parse(text, &address)) {
        return address_owner(&address);
    }
    memcpy(address.bytes, text, strnlen(text, sizeof address.bytes));
    return address;
}

uint64_t address_hash(const struct address *address)
{
    uint64_t halves[2];
    memcpy(halves, address->bytes, sizeof halves);
    uint64_t hash = (halves[0] ^ (halves[1] << 32 | halves[1] >> 32)) * 0x9e3779b97f4a7c15u;
    hash = (hash ^ (hash >> 32)) * 0xd6e8feb86659fd93u;
    return hash ^ (hash >> 32);
}

/* Copies the item [from, from + length) without outer white space. False: too long or empty. */
static bool copy_item(const char *from, size_t length, char out[ENTRY_MAX])
{
    while (length > 0 && (*from == ' ' || *from == '\t')) {
        from++;
        length--;
    }
    while (length > 0 && (from[length - 1] == ' ' || from[length - 1] == '\t')) {
        length--;
    }
    if (length == 0 || length >= ENTRY_MAX) {
        return false;
    }
    memcpy(out, from, length);
    out[length] = '\0';
    return true;
}

static bool network_parse(char *text, struct network *network)
{
    char *slash = strchr(text, '/');
    if (slash != NULL) {
        *slash++ = '\0';
    }
    if (!address_parse(text, &network->address)) {
        return false;
    }
    unsigned bits_max = strchr(text, ':') == NULL ? 32 : 128;
    unsigned bits = bits_max;
    if (slash != NULL) {
        size_t digits = strspn(slash, "0123456789");
        if (digits == 0 || digits > 3 || slash[digits] != '\0') {
            return false;
        }
        bits = 0;
        for (const char *at = slash; *at != '\0'; at++) {
            bits = bits * 10 + (unsigned)(*at - '0');
        }
    }
    network->bits = bits_max == 32 ? bits + MAPPED_BITS : bits;
    return bits <= bits_max;
}

bool networks_parse(const char *list, struct networks *ret_networks)
{
    ret_networks->count = 0;
    while (*list != '\0') {
        size_t length = strcspn(list, ",");
        char item[ENTRY_MAX];
        if (copy_item(list, length, item)) {
            if (ret_networks->count == NETWORKS_MAX ||
                !network_parse(item, &ret_networks->list[ret_networks->count])) {
                return false;
            }
            ret_networks->count++;
        } else if (strspn(list, " \t") < length) {
            return false;
        }
        list += length + (list[length] == ',');
    }
    return true;
}

static bool network_holds(const struct network *network, const struct address *address)
{
    unsigned whole = network->bits / 8, rest = network->bits % 8;
    if (memcmp(network->address.bytes, address->bytes, whole) != 0) {
        return false;
    }
    uint8_t mask = (uint8_t)(0xff00u >> rest);
    return rest == 0 || ((network->address.bytes[whole] ^ address->bytes[whole]) & mask) == 0;
}

bool networks_hold(const struct networks *networks, const struct address *address)
{
    for (unsigned i = 0; i < networks->count; i++) {
        if (network_holds(&networks->list[i], address)) {
            return true;
        }
    }
    return false;
}

/* An address with an optional port: "1.2.3.4", "1.2.3.4:80", "::1", "[::1]:80". */
static bool parse_host(char *text, struct address *address)
{
    if (*text == '[') {
        char *end = strchr(text, ']');
        if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
            return false;
        }
        *end = '\0';
        return address_parse(text + 1, address);
    }
    char *colon = strchr(text, ':');
    if (colon != NULL && strchr(colon + 1, ':') == NULL) {
        *colon = '\0';
    }
    return address_parse(text, address);
}

/* The last element of a list that ends at *length; shortens *length to what stands before it. */
static bool last_element(const char *list, size_t *length, char out[ENTRY_MAX])
{
    size_t start = *length;
    while (start > 0 && list[start - 1] != ',') {
        start--;
    }
    bool found = copy_item(list + start, *length - start, out);
    *length = start > 0 ? start - 1 : 0;
    return found;
}

bool forwarded_walk(const struct networks *trusted, const char *list, struct address *client)
{
    size_t length = strlen(list);
    char element[ENTRY_MAX];
    while (length > 0 && networks_hold(trusted, client)) {
        struct address address;
        if (!last_element(list, &length, element) || !parse_host(element, &address)) {
            return false;
        }
        *client = address;
    }
    return networks_hold(trusted, client);
}

bool forwarded_https(const char *list)
{
    size_t length = strlen(list);
    char value[ENTRY_MAX];
    return last_element(list, &length, value) && strcasecmp(value, "https") == 0;
}
