// What every core header needs: one spelling for functions that run on the host and on the device.
#pragma once

#if defined(__CUDACC__)
#define DIPTYCH_HD __host__ __device__
#else
#define DIPTYCH_HD
#endif

// The CPU library is compiled once per instruction set (see cpu/dispatch.hpp). Core functions live in
// a namespace of that name: without it the linker would keep one copy of each inline function, perhaps
// the AVX-512 one, and call it on a machine that has none.
#ifndef DIPTYCH_ISA
#define DIPTYCH_ISA portable
#endif
