//! Tests of the library and the program against the world: compilers, archives, registries.

mod elf;
