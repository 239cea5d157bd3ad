// Command front runs the two other programs of its image, one in Rust and one in C, and shows what they say.
package main

import (
	"flag"
	"fmt"
	"log"
	"os"
	"os/exec"
	"runtime"
)

func main() {
	alone := flag.Bool("alone", false, "run no other program")
	flag.Parse()
	fmt.Printf("front: Go on %s/%s\n", runtime.GOOS, runtime.GOARCH)
	if *alone {
		return
	}
	for _, words := range [][]string{{"checksum", "/etc/passwd"}, {"machine"}} {
		command := exec.Command(words[0], words[1:]...)
		command.Stdin = os.Stdin // else it would be /dev/null, which an image need not have
		command.Stdout, command.Stderr = os.Stdout, os.Stderr
		if err := command.Run(); err != nil {
			log.Fatalf("%s: %v", words[0], err)
		}
	}
}
