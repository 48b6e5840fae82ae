// An interpreter of a small register machine, dispatched twice: by a switch in a loop, and by indirect calls. One of its
// operations may suspend; the program that it runs never reaches that.

#include "suspend.h"

enum { SET, ADD, SUB, MUL, XOR, SHR, AND, LOAD, STORE, INC, DEC, MOV, JNZ, JZ, JMP, YIELD, HALT };

typedef struct { unsigned char op, a, b, c; } insn;

// r0 = n; r2 = hash; a loop over r0 with a branch on its low bit.
static const insn program[] = {
    {SET, 1, 0, 1},  {SET, 2, 0, 17}, {SET, 6, 0, 15},
    // 3: the loop
    {ADD, 2, 2, 0},  {MUL, 2, 2, 2},  {SHR, 3, 2, 1},  {XOR, 2, 2, 3},  {AND, 4, 0, 6},
    {STORE, 4, 2, 0}, {AND, 5, 2, 6},  {LOAD, 3, 5, 0}, {ADD, 2, 2, 3},  {AND, 3, 0, 1},
    {JZ, 3, 0, 16},  {INC, 2, 0, 0},  {JMP, 0, 0, 17},
    // 16
    {SUB, 2, 2, 4},
    // 17
    {MOV, 7, 2, 0},  {DEC, 0, 0, 0},  {JNZ, 0, 0, 3},  {JZ, 1, 0, 22},  {HALT, 0, 0, 0},
    // 22
    {YIELD, 2, 0, 0}, {HALT, 0, 0, 0},
};

static int memory[16];

static int registers[8];

EXPORT(run_switch) int run_switch(int n) {
    int r[8] = {n};
    const insn *pc = program;
    for (int i = 0; i < 16; i++) memory[i] = 0;
    for (;;) {
        insn i = *pc++;
        switch (i.op) {
        case SET: r[i.a & 7] = i.c; break;
        case ADD: r[i.a & 7] = r[i.b & 7] + r[i.c & 7]; break;
        case SUB: r[i.a & 7] = r[i.b & 7] - r[i.c & 7]; break;
        case MUL: r[i.a & 7] = (int)((unsigned)r[i.b & 7] * (unsigned)r[i.c & 7]); break;
        case XOR: r[i.a & 7] = r[i.b & 7] ^ r[i.c & 7]; break;
        case SHR: r[i.a & 7] = (int)((unsigned)r[i.b & 7] >> (r[i.c & 7] & 31)); break;
        case AND: r[i.a & 7] = r[i.b & 7] & r[i.c & 7]; break;
        case LOAD: r[i.a & 7] = memory[r[i.b & 7] & 15]; break;
        case STORE: memory[r[i.a & 7] & 15] = r[i.b & 7]; break;
        case INC: r[i.a & 7]++; break;
        case DEC: r[i.a & 7]--; break;
        case MOV: r[i.a & 7] = r[i.b & 7]; break;
        case JNZ: if (r[i.a & 7]) pc = program + i.c; break;
        case JZ: if (!r[i.a & 7]) pc = program + i.c; break;
        case JMP: pc = program + i.c; break;
        case YIELD: r[i.a & 7] = may_suspend(r[i.a & 7]); break;
        default: return r[2];
        }
    }
}

typedef const insn *operation(const insn *);

#define OP(name, body) static const insn *name(const insn *i) { int *r = registers; body; return i + 1; }
OP(op_set, r[i->a & 7] = i->c)
OP(op_add, r[i->a & 7] = r[i->b & 7] + r[i->c & 7])
OP(op_sub, r[i->a & 7] = r[i->b & 7] - r[i->c & 7])
OP(op_mul, r[i->a & 7] = (int)((unsigned)r[i->b & 7] * (unsigned)r[i->c & 7]))
OP(op_xor, r[i->a & 7] = r[i->b & 7] ^ r[i->c & 7])
OP(op_shr, r[i->a & 7] = (int)((unsigned)r[i->b & 7] >> (r[i->c & 7] & 31)))
OP(op_and, r[i->a & 7] = r[i->b & 7] & r[i->c & 7])
OP(op_load, r[i->a & 7] = memory[r[i->b & 7] & 15])
OP(op_store, memory[r[i->a & 7] & 15] = r[i->b & 7])
OP(op_inc, r[i->a & 7]++)
OP(op_dec, r[i->a & 7]--)
OP(op_mov, r[i->a & 7] = r[i->b & 7])
OP(op_jnz, if (r[i->a & 7]) return program + i->c)
OP(op_jz, if (!r[i->a & 7]) return program + i->c)
OP(op_jmp, (void)r; return program + i->c)
OP(op_yield, r[i->a & 7] = may_suspend(r[i->a & 7]))
OP(op_halt, (void)r; return 0)

static operation *volatile operations[] = {
    op_set, op_add, op_sub, op_mul, op_xor, op_shr, op_and, op_load, op_store,
    op_inc, op_dec, op_mov, op_jnz, op_jz,  op_jmp, op_yield, op_halt,
};

EXPORT(run_indirect) int run_indirect(int n) {
    for (int i = 0; i < 8; i++) registers[i] = 0;
    for (int i = 0; i < 16; i++) memory[i] = 0;
    registers[0] = n;
    for (const insn *pc = program; pc;) pc = operations[pc->op](pc);
    return registers[2];
}
