// hello-cgo says what the C in one of its packages says of the platform.
package main

import (
	"fmt"
	"runtime"

	"example.com/hello-cgo/ticks"
)

func main() {
	fmt.Printf("hello-cgo on %s/%s\n", runtime.GOOS, runtime.GOARCH)
	fmt.Printf("pointer in C: %d bit\n", ticks.PointerBits())
	fmt.Printf("libc: %s\n", ticks.Libc())
	fmt.Printf("sum of 1 to 100 in C: %d\n", ticks.Sum(100))
}
