/* SPDX-License-Identifier: Apache-2.0 */
/* io/gid.h -- primary keys as HA3's gids carry them: at most 32 hexadecimal digits.
 *
 * A key of up to 16 bytes is its bytes, so that it can be read back; a longer one is a
 * hash of 128 bits, by which it can be recognised. */
#ifndef QN_IO_GID_H
#define QN_IO_GID_H

#include "base/slice.h"

enum { QN_GID_DIGITS_MAX = 32, QN_GID_KEY_MAX = 16 };

/* The digits of a key, ended by a zero byte. */
const char *qn_gid_of_key(qn_slice key, char digits[QN_GID_DIGITS_MAX + 1]);
/* The bytes that the digits stand for when they are a short key's; leading zeros mean
 * nothing. false when they are no digits, or too many. */
bool qn_gid_to_key(qn_slice digits, char key[QN_GID_KEY_MAX], size_t *n);
/* Do the digits, with or without leading zeros, name this key? */
bool qn_gid_names(qn_slice digits, qn_slice key);

#endif
