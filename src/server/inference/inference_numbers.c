/* SPDX-License-Identifier: Apache-2.0 */
/* inference_numbers.c -- vectors as the numbers and letters of a reply. */
#include "server/inference/inference.h"

#include <math.h>

static const char *const form_names[] = {
    [QN_NUMBERS_FLOAT] = "float",     [QN_NUMBERS_INT8] = "int8",
    [QN_NUMBERS_UINT8] = "uint8",     [QN_NUMBERS_BINARY] = "binary",
    [QN_NUMBERS_UBINARY] = "ubinary",
};
enum { FORMS = sizeof form_names / sizeof *form_names };

const char *qn_number_form_name(qn_number_form form)
{
    return form_names[form];
}

bool qn_number_form_parse(qn_slice name, qn_number_form *out)
{
    for (size_t i = 0; i < FORMS; i++) {
        if (!qn_slice_eq_str(name, form_names[i])) continue;
        *out = (qn_number_form)i;
        return true;
    }
    return false;
}

/* One scale for all vectors of as many numbers, so that their dot products compare: of a vector
 * of length 1 they scatter by 1 / sqrt(dims), and six times that is 127. What is beyond is cut
 * off; what is lost is the length of a vector that is not normalised. */
static float scale_of(const float *v, size_t dims)
{
    double squares = 0;
    for (size_t i = 0; i < dims; i++) squares += (double)v[i] * (double)v[i];
    double most = fmax(1, sqrt((double)dims) / 6);
    return squares > 0 ? (float)(127 * most / sqrt(squares)) : 0;
}

static int eighth(const float *v, size_t dims, size_t at)
{
    int byte = 0;
    for (size_t k = 0; k < 8; k++) byte = byte * 2 + (at + k < dims && v[at + k] > 0);
    return byte;
}

/* How many numbers the form has. */
static size_t count_of(size_t dims, qn_number_form form)
{
    return form == QN_NUMBERS_BINARY || form == QN_NUMBERS_UBINARY ? (dims + 7) / 8
                                                                   : dims;
}

/* Number i in a form of whole numbers. */
static int number_at(const float *v, size_t dims, size_t i, float scale,
                     qn_number_form form)
{
    if (form == QN_NUMBERS_UBINARY) return eighth(v, dims, 8 * i);
    if (form == QN_NUMBERS_BINARY) return eighth(v, dims, 8 * i) - 128;
    int n = (int)lrintf(fminf(fmaxf(v[i] * scale, -127), 127));
    return form == QN_NUMBERS_UINT8 ? n + 128 : n;
}

qn_status qn_inference_write_numbers(qn_call *c, const float *v, size_t dims,
                                     qn_number_form form, bool base64, qn_error *err)
{
    if (form == QN_NUMBERS_FLOAT && base64)
        qn_inference_write_base64(c, v, dims * sizeof *v);
    else if (form == QN_NUMBERS_FLOAT)
        qn_inference_write_vector(c, v, dims);
    if (form == QN_NUMBERS_FLOAT) return QN_OK;
    size_t n = count_of(dims, form);
    float scale = scale_of(v, dims);
    if (!base64) {
        qn_json_begin_array(&c->w);
        for (size_t i = 0; i < n; i++)
            qn_json_int(&c->w, number_at(v, dims, i, scale, form));
        qn_json_end_array(&c->w);
        return QN_OK;
    }
    uint8_t *bytes = qn_arena_raw(c->arena, n + 1, 1);
    if (bytes == NULL) return qn_fail(err, QN_ENOMEM, "no memory for the vectors");
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)(number_at(v, dims, i, scale, form) & 255);
    qn_inference_write_base64(c, bytes, n);
    return QN_OK;
}
