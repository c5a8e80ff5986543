/* What the keeper watches besides the tunnels themselves: files of CRLs, what runs out, and SAs of ours that
 * nobody has configured. */
#include "vpn/keeper_private.h"

#include "vpn/tunneld_log.h"

#include <string.h>
#include <sys/stat.h>

/* --- files -------------------------------------------------------------------------------- */

struct keeper_stamp keeper_stamp_of(const char *path)
{
    struct keeper_stamp stamp = {0};
    struct stat status;

    if (path == NULL || stat(path, &status) != 0)
        return stamp;
    stamp.device = (uint64_t)status.st_dev;
    stamp.inode = (uint64_t)status.st_ino;
    stamp.size = (uint64_t)status.st_size;
    stamp.changed_s = (int64_t)status.st_mtim.tv_sec;
    stamp.changed_ns = (int64_t)status.st_mtim.tv_nsec;
    return stamp;
}

bool keeper_stamps_differ(const struct keeper_stamp *a, const struct keeper_stamp *b)
{
    return a->device != b->device || a->inode != b->inode || a->size != b->size ||
           a->changed_s != b->changed_s || a->changed_ns != b->changed_ns;
}

/* --- what runs out ------------------------------------------------------------------------ */

void keeper_set_wall_s(struct keeper *keeper, int64_t wall_s)
{
    keeper->wall_s = wall_s;
}

void keeper_look_at_ends(struct keeper *keeper, bool now)
{
    if (keeper->wall_s == 0 || (!now && keeper->now_ms < keeper->ends_ms))
        return;
    keeper->ends_ms = keeper->now_ms + KEEPER_LOOK_EVERY_MS;
    tunnels_judge_ends(keeper->tunnels, keeper->now_ms, keeper->wall_s);
    if (keeper->now_ms < keeper->tell_ends_ms)
        return;
    keeper->tell_ends_ms = keeper->now_ms + KEEPER_TELL_ENDS_EVERY_MS;
    for (size_t i = 0; i < keeper->count; i++)
        keeper->entries[i].told_warnings &= ~(unsigned)TUNNEL_WARNS_OF_ENDS;
    keeper->told_tunnels_version = 0;
}

/* --- SAs of nobody ------------------------------------------------------------------------ */

void keeper_note_stray(struct keeper *keeper, struct vici_text message)
{
    char name[LOAD_NAME_BYTES];

    if (load_sa_is_leftover(keeper->config, message, name) &&
        !load_names_have(&keeper->strays, name) &&
        load_names_add(&keeper->strays, vici_text_of(name)) != 0)
        return; /* out of memory: the next listing has it, too */
}

static void on_stray_ended(void *context, enum vici_outcome outcome, struct vici_text answer)
{
    char why[LOAD_TEXT_BYTES];

    (void)context;
    if (outcome == VICI_OUTCOME_ANSWER && !load_succeeded(answer, why))
        TUNNELD_LOG(CONFIG_LOG_DEBUG, "charon-answered-no", TUNNELD_TEXT("name", "terminate"),
                    TUNNELD_TEXT("reason", why));
}

/* Its connection is gone already, or goes by the steps of a load: of an mllp-tunneld that was ended between
 * the two, nothing else would tell. */
void keeper_end_strays(struct keeper *keeper)
{
    for (size_t i = 0; i < keeper->strays.count; i++) {
        const char *name = keeper->strays.items[i];
        struct vici_builder message;
        int error = load_terminate(name, &message);
        if (error == 0)
            error = vici_client_request(keeper->client, keeper->now_ms, "terminate", &message,
                                        KEEPER_ANSWER_MS, on_stray_ended, keeper);
        vici_builder_free(&message);
        if (error == 0)
            TUNNELD_LOG(CONFIG_LOG_INFO, "tunnel-leftover-ended",
                        TUNNELD_TEXT("tunnel", name + strlen(CONFIG_TUNNEL_PREFIX)));
    }
    load_names_free(&keeper->strays);
}
