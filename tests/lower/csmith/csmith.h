// What csmith's programs need, without a C library, and the imports of the guest. Stands in for the installed csmith.h.
#pragma once
#include <float.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#define STATIC static
#define UNDEFINED(value) (value)
#define LOG_INDEX
#define LOG_EXEC
#define assert(condition)
#define printf(...) ((void)0)
#define fabsf __builtin_fabsf
#define fabs __builtin_fabs
#define FUNC_NAME(name) (safe_##name)
#include "safe_math.h"
#undef FUNC_NAME

// Called at each edge of the control flow graph (-fsanitize-coverage=trace-pc); the import suspends.
__attribute__((import_module("env"), import_name("s0"))) void __sanitizer_cov_trace_pc(void);

#define UNTRACED __attribute__((no_sanitize("coverage")))

static uint32_t crc32_context = 0xFFFFFFFFu;

// A sum that depends on the order, but no CRC: that would be most of the run.
static void transparent_crc(uint64_t value, const char *name, int print) {
  (void)name, (void)print;
  crc32_context = (crc32_context << 5 | crc32_context >> 27) * 0x9e3779b1u ^ (uint32_t)value ^ (uint32_t)(value >> 32);
}

static void transparent_crc_bytes(const void *bytes, int count, const char *name, int print) {
  for (int at = 0; at < count; at += 1) transparent_crc(((const unsigned char *)bytes)[at], name, print);
}

static void crc32_gentab(void) {}
static void platform_main_begin(void) {}

static uint32_t checksum;

static void platform_main_end(uint32_t crc, int print) {
  (void)print;
  checksum = crc;
}

static UNTRACED int strcmp(const char *left, const char *right) {
  while (*left && *left == *right) left += 1, right += 1;
  return *(const unsigned char *)left - *(const unsigned char *)right;
}

UNTRACED void *memcpy(void *to, const void *from, size_t count) {
  for (size_t at = 0; at < count; at += 1) ((volatile char *)to)[at] = ((const char *)from)[at];
  return to;
}

UNTRACED void *memset(void *to, int byte, size_t count) {
  for (size_t at = 0; at < count; at += 1) ((volatile char *)to)[at] = (char)byte;
  return to;
}

int csmith_main(void);

__attribute__((export_name("run"))) uint32_t run(void) {
  // Without a call the compiler forgets the declaration, and with it where the import is from.
  __sanitizer_cov_trace_pc();
  csmith_main();
  return checksum;
}

#define main csmith_main
