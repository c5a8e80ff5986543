#include "vpn/sa.h"

#include "vpn/sa_fields.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* What the open section is. */
enum place {
    PLACE_ROOT,
    PLACE_ALERT,      /* "ike-sa" of an alert: holds an IKE SA */
    PLACE_IKE,        /* an IKE SA, or in ike-rekey what holds the old and the new one */
    PLACE_IKE_SIDE,   /* "old", "new" */
    PLACE_CHILDREN,   /* "child-sas" */
    PLACE_CHILD,      /* a CHILD SA, or in child-rekey what holds the old and the new one */
    PLACE_CHILD_SIDE, /* "old", "new" */
    PLACE_OTHER,      /* nothing that is of interest, nor what is in it */
};

enum list { LIST_OTHER, LIST_LOCAL, LIST_REMOTE, LIST_ACTIVE, LIST_PASSIVE, LIST_QUEUED };

struct draft {
    struct sa_message *message;
    enum place places[VICI_DEPTH_MAXIMUM + 1];
    unsigned depth;
    enum list list;
    struct sa_ike *ike;     /* the last one begun: the open section is in it, or was */
    struct sa_child *child; /* likewise */
    struct proposal_names ike_names, child_names;
};

/* --- values ------------------------------------------------------------------------------- */

static void set_value(struct draft *draft, const struct vici_element *e)
{
    switch (draft->places[draft->depth]) {
    case PLACE_ROOT:
        if (vici_text_is(e->name, "up"))
            draft->message->up = vici_text_is(e->value, "yes");
        else if (vici_text_is(e->name, "type"))
            sa_copy_name(e->value, draft->message->alert);
        else if (vici_text_is(e->name, "local-host"))
            sa_copy_text(e->value, draft->message->local_host, SA_TEXT_BYTES);
        else if (vici_text_is(e->name, "remote-host"))
            sa_copy_text(e->value, draft->message->remote_host, SA_TEXT_BYTES);
        break;
    case PLACE_IKE:
    case PLACE_IKE_SIDE:
        sa_set_ike(draft->ike, &draft->ike_names, e);
        break;
    case PLACE_CHILD:
    case PLACE_CHILD_SIDE:
        sa_set_child(draft->child, &draft->child_names, e);
        break;
    case PLACE_ALERT:
    case PLACE_CHILDREN:
    case PLACE_OTHER:
        break;
    }
}

/* --- sections ----------------------------------------------------------------------------- */

/* Room for one more, zeroed, at the end of an array; doubles where count is a power of two. */
static void *append(void *items, size_t *count, size_t size)
{
    if ((*count & (*count - 1)) == 0) {
        size_t room = *count == 0 ? 1 : 2 * *count;
        items = reallocarray(items, room, size);
        if (items == NULL)
            return NULL;
    }
    memset((char *)items + *count * size, 0, size);
    (*count)++;
    return items;
}

/* Further SAs than the maximum are passed over as a section that is not of interest. */
static int begin_ike(struct draft *draft, struct vici_text text, enum sa_role role,
                     enum place place)
{
    struct sa_message *message = draft->message;
    char name[SA_NAME_BYTES];
    struct sa_ike *ikes;

    draft->places[draft->depth] = PLACE_OTHER;
    if (message->count == SA_IKES_MAXIMUM)
        return 0;
    sa_copy_name(text, name); /* it may stand in what is about to move */
    ikes = append(message->ikes, &message->count, sizeof *ikes);
    if (ikes == NULL)
        return -ENOMEM;
    message->ikes = ikes;
    draft->ike = &ikes[message->count - 1];
    draft->ike->role = role;
    draft->ike->established_s = draft->ike->rekey_in_s = draft->ike->reauth_in_s = SA_NOT_SAID;
    memcpy(draft->ike->name, name, sizeof name);
    draft->ike_names = (struct proposal_names){0};
    draft->places[draft->depth] = place;
    return 0;
}

static int begin_child(struct draft *draft, struct vici_text text, enum sa_role role,
                       enum place place)
{
    struct sa_ike *ike = draft->ike;
    struct sa_child *children, *child;
    char name[SA_NAME_BYTES];

    draft->places[draft->depth] = PLACE_OTHER;
    if (ike->count == SA_CHILDREN_MAXIMUM)
        return 0;
    sa_copy_name(text, name);
    children = append(ike->children, &ike->count, sizeof *children);
    if (children == NULL)
        return -ENOMEM;
    ike->children = children;
    child = draft->child = &children[ike->count - 1];
    child->role = role;
    child->use_in_s = child->use_out_s = SA_NOT_SAID;
    child->rekey_in_s = child->life_in_s = child->installed_s = SA_NOT_SAID;
    memcpy(child->name, name, sizeof name);
    draft->child_names = (struct proposal_names){0};
    draft->places[draft->depth] = place;
    return 0;
}

static bool is_side(struct vici_text name, enum sa_role *ret_role)
{
    *ret_role = vici_text_is(name, "old") ? SA_OLD : SA_NEW;
    return *ret_role == SA_OLD || vici_text_is(name, "new");
}

static int begin_section(struct draft *draft, struct vici_text name)
{
    enum place outer = draft->places[draft->depth++];
    enum sa_role role;

    draft->places[draft->depth] = PLACE_OTHER;
    if (outer == PLACE_ROOT && draft->message->alert[0] != '\0')
        draft->places[draft->depth] = vici_text_is(name, "ike-sa") ? PLACE_ALERT : PLACE_OTHER;
    else if (outer == PLACE_ROOT || outer == PLACE_ALERT)
        return begin_ike(draft, name, SA_IS, PLACE_IKE);
    else if (outer == PLACE_IKE && is_side(name, &role))
        return begin_ike(draft, vici_text_of(draft->ike->name), role, PLACE_IKE_SIDE);
    else if ((outer == PLACE_IKE || outer == PLACE_IKE_SIDE) && vici_text_is(name, "child-sas"))
        draft->places[draft->depth] = PLACE_CHILDREN;
    else if (outer == PLACE_CHILDREN)
        return begin_child(draft, name, SA_IS, PLACE_CHILD);
    else if (outer == PLACE_CHILD && is_side(name, &role))
        return begin_child(draft, vici_text_of(draft->child->name), role, PLACE_CHILD_SIDE);
    return 0;
}

static void end_section(struct draft *draft)
{
    enum place place = draft->places[draft->depth--];

    if (place == PLACE_IKE || place == PLACE_IKE_SIDE)
        proposal_text(&draft->ike_names, draft->ike->cipher);
    else if (place == PLACE_CHILD || place == PLACE_CHILD_SIDE)
        proposal_text(&draft->child_names, draft->child->cipher);
}

/* --- lists -------------------------------------------------------------------------------- */

static void begin_list(struct draft *draft, struct vici_text name)
{
    enum place place = draft->places[draft->depth];

    draft->list = LIST_OTHER;
    if (place == PLACE_CHILD || place == PLACE_CHILD_SIDE) {
        if (vici_text_is(name, "local-ts"))
            draft->list = LIST_LOCAL;
        else if (vici_text_is(name, "remote-ts"))
            draft->list = LIST_REMOTE;
    } else if (place == PLACE_IKE || place == PLACE_IKE_SIDE) {
        if (vici_text_is(name, "tasks-active"))
            draft->list = LIST_ACTIVE;
        else if (vici_text_is(name, "tasks-passive"))
            draft->list = LIST_PASSIVE;
        else if (vici_text_is(name, "tasks-queued"))
            draft->list = LIST_QUEUED;
    }
}

static int add_selector(struct sa_selectors *selectors, struct vici_text text)
{
    struct selector selector, *items;

    if (selectors->count == SA_SELECTORS_MAXIMUM ||
        selector_parse(text.data, text.length, &selector) != NULL) {
        selectors->unreadable = true;
        return 0;
    }
    items = append(selectors->items, &selectors->count, sizeof *items);
    if (items == NULL)
        return -ENOMEM;
    selectors->items = items;
    items[selectors->count - 1] = selector;
    return 0;
}

static void add_task(struct draft *draft, struct vici_text task)
{
    if (vici_text_is(task, "CHILD_CREATE"))
        draft->ike->creates_child = true;
    else if (draft->list == LIST_ACTIVE && vici_text_is(task, "IKE_DPD"))
        draft->ike->checks_peer = true;
    else if (draft->list == LIST_PASSIVE && vici_text_is(task, "IKE_DELETE"))
        draft->ike->peer_deletes = true;
}

static int add_item(struct draft *draft, struct vici_text value)
{
    switch (draft->list) {
    case LIST_LOCAL:
        return add_selector(&draft->child->local, value);
    case LIST_REMOTE:
        return add_selector(&draft->child->remote, value);
    case LIST_ACTIVE:
    case LIST_PASSIVE:
    case LIST_QUEUED:
        add_task(draft, value);
        break;
    case LIST_OTHER:
        break;
    }
    return 0;
}

/* --- messages ----------------------------------------------------------------------------- */

static void free_child(struct sa_child *child)
{
    free(child->local.items);
    free(child->remote.items);
}

static void free_ike(struct sa_ike *ike)
{
    for (size_t i = 0; i < ike->count; i++)
        free_child(&ike->children[i]);
    free(ike->children);
}

/* Those without uniqueid, and the frames that held an old and a new one. */
static void drop_nameless(struct sa_message *message)
{
    size_t ikes = 0;

    for (size_t i = 0; i < message->count; i++) {
        struct sa_ike *ike = &message->ikes[i];
        size_t children = 0;
        for (size_t k = 0; k < ike->count; k++) {
            if (ike->children[k].uniqueid != 0)
                ike->children[children++] = ike->children[k];
            else
                free_child(&ike->children[k]);
        }
        ike->count = children;
        if (ike->uniqueid != 0)
            message->ikes[ikes++] = *ike;
        else
            free_ike(ike);
    }
    message->count = ikes;
}

static int take_element(struct draft *draft, const struct vici_element *e)
{
    switch (e->type) {
    case VICI_SECTION_START:
        return begin_section(draft, e->name);
    case VICI_SECTION_END:
        end_section(draft);
        break;
    case VICI_KEY_VALUE:
        set_value(draft, e);
        break;
    case VICI_LIST_START:
        begin_list(draft, e->name);
        break;
    case VICI_LIST_ITEM:
        return add_item(draft, e->value);
    case VICI_LIST_END:
    case VICI_MESSAGE_END:
        break;
    }
    return 0;
}

int sa_message_read(struct vici_text message, struct sa_message *ret_message)
{
    struct sa_message result = {0};
    struct draft draft = {.message = &result};
    struct vici_element element;
    struct vici_reader reader;
    int error;

    vici_reader_init(&reader, message);
    do {
        error = -EBADMSG;
        if (vici_reader_next(&reader, &element) == VICI_COMPLETE)
            error = take_element(&draft, &element);
    } while (error == 0 && element.type != VICI_MESSAGE_END);
    if (error != 0) {
        sa_message_free(&result);
        return error;
    }
    drop_nameless(&result);
    *ret_message = result;
    return 0;
}

void sa_message_free(struct sa_message *message)
{
    for (size_t i = 0; i < message->count; i++)
        free_ike(&message->ikes[i]);
    free(message->ikes);
    *message = (struct sa_message){0};
}

bool sa_child_is_installed(const struct sa_child *child)
{
    return child->state == SA_CHILD_INSTALLED || child->state == SA_CHILD_UPDATING ||
           child->state == SA_CHILD_REKEYING;
}
