/* SPDX-License-Identifier: Apache-2.0 */
/* cava_fold.c -- the numbers of Java: what operators and casts mean. The machine does the
 * same inline; a test holds the two together. */
#include "expr/cava/cava_internal.h"

#include <math.h>

int64_t qn_cava__wrap(qn_cava_type type, int64_t v)
{
    switch (type) {
    case QN_CT_BOOLEAN:
        return v & 1;
    case QN_CT_BYTE:
        return (int8_t)v;
    case QN_CT_SHORT:
        return (int16_t)v;
    case QN_CT_CHAR:
    case QN_CT_USHORT:
        return (uint16_t)v;
    case QN_CT_INT:
        return (int32_t)v;
    case QN_CT_UBYTE:
        return (uint8_t)v;
    case QN_CT_UINT:
        return (uint32_t)v;
    default:
        return v;
    }
}

int64_t qn_cava__to_i32(double v)
{
    if (isnan(v)) return 0;
    if (v <= (double)INT32_MIN) return INT32_MIN;
    if (v >= (double)INT32_MAX) return INT32_MAX;
    return (int32_t)v;
}

int64_t qn_cava__to_i64(double v)
{
    if (isnan(v)) return 0;
    if (v <= -0x1p63) return INT64_MIN;
    if (v >= 0x1p63) return INT64_MAX;
    return (int64_t)v;
}

uint64_t qn_cava__to_u64(double v)
{
    if (isnan(v) || v <= 0) return 0;
    if (v >= 0x1p64) return UINT64_MAX;
    return (uint64_t)v;
}

static bool is_real(qn_cava_type t)
{
    return t == QN_CT_FLOAT || t == QN_CT_DOUBLE;
}

qn_cava_slot qn_cava__convert(qn_cava_type from, qn_cava_type to, qn_cava_slot v)
{
    if (is_real(from)) {
        if (to == QN_CT_FLOAT) return (qn_cava_slot){.d = (double)(float)v.d};
        if (to == QN_CT_DOUBLE) return v;
        if (to == QN_CT_LONG) return (qn_cava_slot){.i = qn_cava__to_i64(v.d)};
        if (to == QN_CT_ULONG)
            return (qn_cava_slot){.i = (int64_t)qn_cava__to_u64(v.d)};
        if (to == QN_CT_UINT)
            return (qn_cava_slot){.i = qn_cava__wrap(to, qn_cava__to_i64(v.d))};
        return (qn_cava_slot){.i = qn_cava__wrap(to, qn_cava__to_i32(v.d))};
    }
    if (to == QN_CT_DOUBLE)
        return (qn_cava_slot){.d = from == QN_CT_ULONG ? (double)(uint64_t)v.i
                                                       : (double)v.i};
    if (to == QN_CT_FLOAT)
        return (qn_cava_slot){.d = from == QN_CT_ULONG ? (double)(float)(uint64_t)v.i
                                                       : (double)(float)v.i};
    return (qn_cava_slot){.i = qn_cava__wrap(to, v.i)};
}

static bool real_binary(unsigned op, qn_cava_type type, double a, double b,
                        qn_cava_slot *out)
{
    double v = 0;
    switch (op) {
    case P_ADD:
        v = a + b;
        break;
    case P_SUB:
        v = a - b;
        break;
    case P_MUL:
        v = a * b;
        break;
    case P_DIV:
        v = a / b;
        break;
    case P_REM:
        v = fmod(a, b);
        break;
    case P_LT:
        return out->i = a < b, true;
    case P_LE:
        return out->i = a <= b, true;
    case P_GT:
        return out->i = a > b, true;
    case P_GE:
        return out->i = a >= b, true;
    case P_EQ:
        return out->i = a == b, true;
    case P_NE:
        return out->i = a != b, true;
    default:
        return false;
    }
    out->d = type == QN_CT_FLOAT ? (double)(float)v : v;
    return true;
}

static bool compare(unsigned op, qn_cava_type type, int64_t a, int64_t b,
                    qn_cava_slot *out)
{
    bool less = type == QN_CT_ULONG ? (uint64_t)a < (uint64_t)b : a < b;
    switch (op) {
    case P_LT:
        return out->i = less, true;
    case P_LE:
        return out->i = less || a == b, true;
    case P_GT:
        return out->i = !less && a != b, true;
    case P_GE:
        return out->i = !less, true;
    case P_EQ:
        return out->i = a == b, true;
    case P_NE:
        return out->i = a != b, true;
    default:
        return false;
    }
}

/* a / b and a % b where b is not 0; the least number by -1 is itself, and 0. */
static int64_t divide(unsigned op, qn_cava_type type, int64_t a, int64_t b)
{
    if (type == QN_CT_ULONG)
        return (int64_t)(op == P_DIV ? (uint64_t)a / (uint64_t)b
                                     : (uint64_t)a % (uint64_t)b);
    if (b == -1) return op == P_DIV ? (int64_t)(0 - (uint64_t)a) : 0;
    return op == P_DIV ? a / b : a % b;
}

bool qn_cava__binary(unsigned op, qn_cava_type type, qn_cava_slot x, qn_cava_slot y,
                     qn_cava_slot *out)
{
    if (is_real(type)) return real_binary(op, type, x.d, y.d, out);
    uint64_t a = (uint64_t)x.i, b = (uint64_t)y.i, v = 0;
    bool wide = type == QN_CT_LONG || type == QN_CT_ULONG;
    bool plain = type == QN_CT_UINT || type == QN_CT_ULONG;
    unsigned shift = (unsigned)(b & (wide ? 63 : 31));
    switch (op) {
    case P_ADD:
        v = a + b;
        break;
    case P_SUB:
        v = a - b;
        break;
    case P_MUL:
        v = a * b;
        break;
    case P_DIV:
    case P_REM:
        if (b == 0) return false;
        v = (uint64_t)divide(op, type, x.i, y.i);
        break;
    case P_AND:
        v = a & b;
        break;
    case P_OR:
        v = a | b;
        break;
    case P_XOR:
        v = a ^ b;
        break;
    case P_SHL:
        v = a << shift;
        break;
    case P_SHR:
        v = plain ? a >> shift : (uint64_t)(x.i >> shift);
        break;
    case P_USHR:
        v = wide ? a >> shift : (uint64_t)((uint32_t)a >> shift);
        break;
    default:
        return compare(op, type, x.i, y.i, out);
    }
    out->i = qn_cava__wrap(type, (int64_t)v);
    return true;
}
