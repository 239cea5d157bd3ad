// Package ticks is compiled by Go and by the C compiler of the platform.
package ticks

// #include "ticks.h"
import "C"

// PointerBits is the size of a pointer in C.
func PointerBits() int { return int(C.ticks_pointer_bits()) }

// Libc names the C library that the C was compiled against.
func Libc() string { return C.GoString(C.ticks_libc()) }

// Sum adds the numbers from 1 to last.
func Sum(last int) int { return int(C.ticks_sum(C.long(last))) }
