/*
 * page: the status page, made from the same JSON as the control socket's status.
 *
 * Plain HTML without scripts, forms or links. An array of objects becomes a table whose columns are
 * the first object's members; an object becomes a table of two columns. Everything is escaped.
 * Numbers are shown as their members' names say (base/text.h).
 * Private to admin/.
 */
#ifndef MLLPGW_ADMIN_PAGE_H
#define MLLPGW_ADMIN_PAGE_H

#include "base/buffer.h"

#include <jansson.h>

/* why: "" when ready. -ENOMEM, -EMSGSIZE. */
__attribute__((warn_unused_result)) int page_render(struct buffer *out, const char *name,
                                                    const char *version, const char *why,
                                                    const json_t *status);

extern const char page_style[]; /* served as /style.css, so that no inline style must be allowed */

#endif
