#include "ingress/share.h"

void share_charge(struct share *share, int64_t began_ns, int64_t ended_ns)
{
    share->owed_ns = ended_ns - began_ns;
    share->since_ns = ended_ns;
}

int64_t share_wait_ns(const struct share *share, int64_t now_ns, bool others)
{
    int64_t paid = now_ns - share->since_ns;

    if (paid >= share->owed_ns || (!others && share->owed_ns <= SHARE_USUAL_NS)) {
        return 0;
    }
    return share->owed_ns - paid;
}
