/* The route table (router.h).
 *
 * A node stands for the path up to a segment. Its children are literals (a list: siblings are few),
 * one parameter, and the rows whose last part is {rest*}. Finding walks down with one level of
 * recursion a segment, at most TARGET_SEGMENTS_MAX.
 */
#include "net/router.h"

#include "base/error.h"
#include "base/problem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { METHODS_MAX = 8 };

struct rows {
    unsigned count;
    struct route_entry *entries[METHODS_MAX];
};

struct node {
    struct node *sibling; /* next literal of the same parent */
    struct node *literals, *param;
    char *text;
    size_t length;
    struct rows here, rest;
};

struct router {
    struct node root;
};

struct router *router_new(void)
{
    return calloc(1, sizeof(struct router));
}

static void rows_free(struct rows *rows)
{
    for (unsigned i = 0; i < rows->count; i++) {
        for (unsigned j = 0; j < rows->entries[i]->param_count; j++) {
            free((void *)rows->entries[i]->param_names[j]);
        }
        free(rows->entries[i]);
    }
}

static void node_done(struct node *node)
{
    while (node->literals != NULL) {
        struct node *child = node->literals;
        node->literals = child->sibling;
        node_done(child);
        free(child);
    }
    if (node->param != NULL) {
        node_done(node->param);
        free(node->param);
    }
    rows_free(&node->here);
    rows_free(&node->rest);
    free(node->text);
}

void router_free(struct router *router)
{
    if (router != NULL) {
        node_done(&router->root);
        free(router);
    }
}

static struct node *literal_find(const struct node *node, const char *text, size_t length)
{
    for (struct node *child = node->literals; child != NULL; child = child->sibling) {
        if (child->length == length && memcmp(child->text, text, length) == 0) {
            return child;
        }
    }
    return NULL;
}

static struct node *literal_add(struct node *node, const char *text, size_t length)
{
    struct node *child = literal_find(node, text, length);
    if (child != NULL) {
        return child;
    }
    child = calloc(1, sizeof *child);
    if (child == NULL) {
        return NULL;
    }
    child->text = strndup(text, length);
    child->length = length;
    if (child->text == NULL) {
        free(child);
        return NULL;
    }
    child->sibling = node->literals;
    node->literals = child;
    return child;
}

static bool name_is_fine(const char *name, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        char lower = (char)(name[i] | 0x20);
        if (!(lower >= 'a' && lower <= 'z') && name[i] != '_') {
            return false;
        }
    }
    return length > 0;
}

static int entry_add_name(struct route_entry *entry, const char *name, size_t length)
{
    if (entry->param_count == ROUTE_PARAMS_MAX || !name_is_fine(name, length)) {
        return ERR_INVALID;
    }
    char *copy = strndup(name, length);
    if (copy == NULL) {
        return ERR_NO_MEMORY;
    }
    entry->param_names[entry->param_count++] = copy;
    return 0;
}

/* Goes one segment of the pattern down. *ret_rest is set by a last {name*}. */
static int descend(struct node **node, struct route_entry *entry, const char *segment,
                   size_t length, bool *ret_rest)
{
    if (length == 0 || segment[0] != '{') {
        if (memchr(segment, '{', length) != NULL || memchr(segment, '}', length) != NULL) {
            return ERR_INVALID;
        }
        *node = literal_add(*node, segment, length);
        return *node != NULL ? 0 : ERR_NO_MEMORY;
    }
    if (length < 3 || segment[length - 1] != '}') {
        return ERR_INVALID;
    }
    bool rest = segment[length - 2] == '*';
    int error = entry_add_name(entry, segment + 1, length - 2 - rest);
    if (error != 0) {
        return error;
    }
    if (rest) {
        *ret_rest = true;
        return segment[length] == '\0' ? 0 : ERR_INVALID;
    }
    if ((*node)->param == NULL) {
        (*node)->param = calloc(1, sizeof **node);
    }
    *node = (*node)->param;
    return *node != NULL ? 0 : ERR_NO_MEMORY;
}

static int rows_add(struct rows *rows, struct route_entry *entry)
{
    for (unsigned i = 0; i < rows->count; i++) {
        if (strcmp(rows->entries[i]->row->method, entry->row->method) == 0) {
            return ERR_INVALID;
        }
    }
    if (rows->count == METHODS_MAX) {
        return ERR_INVALID;
    }
    rows->entries[rows->count++] = entry;
    return 0;
}

static int insert(struct router *router, struct route_entry *entry)
{
    const char *at = entry->row->pattern;
    struct node *node = &router->root;
    bool rest = false;
    if (*at != '/') {
        return ERR_INVALID;
    }
    while (*at == '/') {
        at++;
        size_t length = strcspn(at, "/");
        int error = descend(&node, entry, at, length, &rest);
        if (error != 0) {
            return error;
        }
        at += length;
    }
    return rows_add(rest ? &node->rest : &node->here, entry);
}

int router_add(struct router *router, const struct route *row, void *context,
               struct problem *problem)
{
    struct route_entry *entry = calloc(1, sizeof *entry);
    if (entry == NULL) {
        return ERR_NO_MEMORY;
    }
    entry->row = row;
    entry->context = context;
    int error = row->handle != NULL ? insert(router, entry) : ERR_INVALID;
    if (error != 0) {
        rows_free(&(struct rows){.count = 1, .entries = {entry}});
        return problem_set(problem, error, "The route %s %s is malformed or said twice",
                           row->method, row->pattern);
    }
    return 0;
}

static struct route_entry *rows_find(const struct rows *rows, const char *method)
{
    for (unsigned i = 0; i < rows->count; i++) {
        if (strcmp(rows->entries[i]->row->method, method) == 0) {
            return rows->entries[i];
        }
    }
    return NULL;
}

struct walk {
    const struct target_path *path;
    const char *method;
    struct route_match *match;
    struct target_segment values[ROUTE_PARAMS_MAX];
    /* For router_allow: visits all rows of the path and never finds. */
    void (*each)(void *argument, const struct rows *rows);
    void *argument;
};

static bool rows_take(struct walk *walk, const struct rows *rows)
{
    if (rows->count == 0) {
        return false;
    }
    if (walk->each != NULL) {
        walk->each(walk->argument, rows);
        return false;
    }
    if (!walk->match->path_known) {
        walk->match->path_known = true;
        walk->match->other = rows->entries[0];
    }
    struct route_entry *entry = rows_find(rows, walk->method);
    if (entry == NULL) {
        return false;
    }
    walk->match->entry = entry;
    memcpy(walk->match->values, walk->values, sizeof walk->values);
    return true;
}

static bool find_from(const struct node *node, struct walk *walk, unsigned depth, unsigned params)
{
    if (depth == walk->path->count) {
        return rows_take(walk, &node->here);
    }
    const struct target_segment *segment = &walk->path->segments[depth];
    const struct node *literal =
        literal_find(node, walk->path->text + segment->offset, segment->length);
    if (literal != NULL && find_from(literal, walk, depth + 1, params)) {
        return true;
    }
    if (node->param != NULL && segment->length > 0) {
        walk->values[params] = *segment;
        if (find_from(node->param, walk, depth + 1, params + 1)) {
            return true;
        }
    }
    if (node->rest.count > 0) {
        walk->values[params] =
            (struct target_segment){segment->offset, walk->path->length - segment->offset};
        return rows_take(walk, &node->rest);
    }
    return false;
}

void router_find(const struct router *router, const char *method, const struct target_path *path,
                 struct route_match *ret_match)
{
    ret_match->entry = NULL;
    ret_match->path_known = false;
    ret_match->other = NULL;
    const char *row_method = strcmp(method, "HEAD") == 0 ? "GET" : method;
    struct walk walk = {.path = path, .method = row_method, .match = ret_match};
    (void)find_from(&router->root, &walk, 0, 0);
}

struct allow {
    char *out;
    size_t size, length;
};

static void allow_add(struct allow *allow, const char *method)
{
    size_t length = strlen(method);
    for (const char *at = allow->out; (at = strstr(at, method)) != NULL; at++) {
        if ((at == allow->out || at[-1] == ' ') && (at[length] == ',' || at[length] == '\0')) {
            return;
        }
    }
    int written = snprintf(allow->out + allow->length, allow->size - allow->length, "%s%s",
                           allow->length > 0 ? ", " : "", method);
    if (written > 0 && (size_t)written < allow->size - allow->length) {
        allow->length += (size_t)written;
    } else {
        allow->out[allow->length] = '\0';
    }
}

static void allow_rows(void *argument, const struct rows *rows)
{
    struct allow *allow = argument;
    for (unsigned i = 0; i < rows->count; i++) {
        allow_add(allow, rows->entries[i]->row->method);
        if (strcmp(rows->entries[i]->row->method, "GET") == 0) {
            allow_add(allow, "HEAD");
        }
    }
}

void router_allow(const struct router *router, const struct target_path *path, char *out,
                  size_t size)
{
    struct allow allow = {.out = out, .size = size};
    out[0] = '\0';
    struct walk walk = {.path = path, .method = "", .each = allow_rows, .argument = &allow};
    (void)find_from(&router->root, &walk, 0, 0);
    allow_add(&allow, "OPTIONS");
}

static void each_of(struct node *node, void (*visit)(void *argument, struct route_entry *entry),
                    void *argument)
{
    for (unsigned i = 0; i < node->here.count; i++) {
        visit(argument, node->here.entries[i]);
    }
    for (unsigned i = 0; i < node->rest.count; i++) {
        visit(argument, node->rest.entries[i]);
    }
    for (struct node *child = node->literals; child != NULL; child = child->sibling) {
        each_of(child, visit, argument);
    }
    if (node->param != NULL) {
        each_of(node->param, visit, argument);
    }
}

void router_each(struct router *router, void (*visit)(void *argument, struct route_entry *entry),
                 void *argument)
{
    each_of(&router->root, visit, argument);
}
