/* SPDX-License-Identifier: Apache-2.0 */
/* cava_dump.c -- a program as text: signatures, registers, instructions. */
#include "expr/cava/cava_internal.h"

static const char *const names[] = {
#define OP(name, operands, meaning) #name,
#include "expr/cava/cava_opcodes.def"
#undef OP
};
static const char *const operands[] = {
#define OP(name, operands, meaning) operands,
#include "expr/cava/cava_opcodes.def"
#undef OP
};

static void dump_step(const qn_cava_function *f, uint32_t pc, qn_buf *out)
{
    const qn_cava_step *s = &f->code[pc];
    qn_buf_printf(out, "    %4u  %-8s %5u %5u ", pc, names[s->op], s->a, s->b);
    if (strlen(operands[s->op]) == 3 && operands[s->op][2] == 'j')
        qn_buf_printf(out, "-> %d\n", (int)pc + 1 + (int16_t)s->c);
    else
        qn_buf_printf(out, "%5u\n", s->c);
}

static void dump_function(const qn_cava_program *p, const qn_cava_function *f,
                          qn_buf *out)
{
    char room[96];
    qn_buf_printf(out, "  %.*s  {",
                  QN_SLICE_ARG(f->method == UINT32_MAX
                                   ? QN_SLICE_LIT("fields")
                                   : p->methods.p[f->method].signature));
    for (uint32_t i = 0; i < f->register_count; i++)
        qn_buf_printf(
            out, "%s%.*s", i == 0 ? "" : " ",
            QN_SLICE_ARG(qn_cava__type_name(p, f->registers[i], room, sizeof room)));
    qn_buf_add_str(out, "}\n");
    for (uint32_t pc = 0; pc < f->code_count; pc++) dump_step(f, pc, out);
}

void qn_cava_program_dump(const qn_cava_program *p, qn_buf *out)
{
    char room[96];
    for (size_t k = QN_CAVA_CLASS_COUNT; k < p->classes.n; k++) {
        const qn_cava_class *class = &p->classes.p[k];
        qn_buf_printf(out, "class %.*s.%.*s\n", QN_SLICE_ARG(class->package),
                      QN_SLICE_ARG(class->name));
        for (uint32_t i = 0; i < class->field_count; i++)
            qn_buf_printf(out, "  %.*s %.*s\n",
                          QN_SLICE_ARG(qn_cava__type_name(p, class->fields[i].type,
                                                          room, sizeof room)),
                          QN_SLICE_ARG(class->fields[i].name));
        for (size_t f = 0; f < p->functions.n; f++)
            if (p->functions.p[f].class_index == k)
                dump_function(p, &p->functions.p[f], out);
    }
}
