/* Addresses, networks, and what proxies say: trusted networks, peer, X-Forwarded-For,
 * X-Forwarded-Proto, a line each. An address that is read is written
 * and read again the same; networks hold their own addresses; what headers say of a client that
 * no trusted proxy spoke for is not taken.
 *
 * Covers: src/net/address.c */
#include "fuzz.h"
#include "net/address.h"

static bool same(const struct address *left, const struct address *right)
{
    return memcmp(left->bytes, right->bytes, sizeof left->bytes) == 0;
}

static void check_address(const struct address *address)
{
    char text[ADDRESS_TEXT_SIZE];
    struct address again, owner = address_owner(address);
    address_format(address, text);
    FUZZ_CHECK(address_parse(text, &again) && same(address, &again));
    struct address owner_again = address_owner(&owner);
    FUZZ_CHECK(same(&owner, &owner_again));
    FUZZ_CHECK(address_hash(address) == address_hash(&again));
}

static void check_networks(const struct networks *networks)
{
    FUZZ_CHECK(networks->count <= NETWORKS_MAX);
    for (unsigned i = 0; i < networks->count; i++) {
        FUZZ_CHECK(networks->list[i].bits <= 128);
        FUZZ_CHECK(networks_hold(networks, &networks->list[i].address));
    }
}

/* The nearest proxy names the client last; unless that is a proxy of ours too, it is the answer. */
static void check_walk(const struct networks *trusted, const struct address *peer, const char *list)
{
    struct address client = *peer, last;
    bool goes_on = forwarded_walk(trusted, list, &client);
    const char *comma = strrchr(list, ',');
    check_address(&client);
    FUZZ_CHECK(!goes_on || networks_hold(trusted, &client));
    if (address_parse(comma != NULL ? comma + 1 : list, &last) && !networks_hold(trusted, &last)) {
        FUZZ_CHECK(same(&client, &last) && !goes_on);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    FUZZ_FIELDS fields = fuzz_split(data, size, 4);
    struct networks trusted;
    struct address peer;
    if (!networks_parse(fuzz_or_empty(fields.text[0]), &trusted)) {
        trusted.count = 0;
    }
    check_networks(&trusted);
    if (!address_parse(fuzz_or_empty(fields.text[1]), &peer)) {
        return 0;
    }
    check_address(&peer);
    if (networks_hold(&trusted, &peer)) { /* whoever calls has looked */
        check_walk(&trusted, &peer, fuzz_or_empty(fields.text[2]));
    }
    (void)forwarded_https(fuzz_or_empty(fields.text[3]));
    return 0;
}
