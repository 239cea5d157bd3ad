// Command hello-go says which platform it was built for, and serves the same text over http when asked to.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version = "dev"

// variant is what the architecture was narrowed to (GOARM=7, GOAMD64=v1), as the compiler stamped it; "none" without.
func variant() string {
	information, ok := debug.ReadBuildInfo()
	if !ok {
		return "none"
	}
	for _, setting := range information.Settings {
		switch setting.Key {
		case "GOARM", "GOAMD64", "GO386", "GOARM64", "GOPPC64", "GORISCV64":
			return setting.Key + "=" + setting.Value
		}
	}
	return "none"
}

func greeting() string {
	return fmt.Sprintf("hello-go %s\nplatform: %s/%s\nvariant: %s\npointer: %d bit\n",
		version, runtime.GOOS, runtime.GOARCH, variant(), strconv.IntSize)
}

func main() {
	listen := flag.String("listen", "", "serve over http on this address, such as :8080, instead of printing once")
	flag.Parse()
	if *listen == "" {
		fmt.Print(greeting())
		return
	}
	http.HandleFunc("/", func(response http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(response, greeting())
	})
	log.SetOutput(os.Stderr)
	log.Printf("listening on %s", *listen)
	log.Fatal(http.ListenAndServe(*listen, nil))
}
