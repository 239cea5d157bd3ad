// Command server says what is in /etc/both.conf, once or over http, and has its checksum made by a program in Rust
// that lies beside it in the same image.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"os"
	"os/exec"
	"runtime"
)

// configuration is where the image has the file of anyarch.toml's [[file]] table.
const configuration = "/etc/both.conf"

// checksum runs the other program of the image, which is on the image's PATH.
func checksum(path string) (string, error) {
	command := exec.Command("checksum", path)
	command.Stdin = os.Stdin // else it would be /dev/null, which an image need not have
	output, err := command.Output()
	return string(output), err
}

func page() (string, error) {
	content, err := os.ReadFile(configuration)
	if err != nil {
		return "", err
	}
	sum, err := checksum(configuration)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("server: Go on %s/%s\n%s%s", runtime.GOOS, runtime.GOARCH, sum, content), nil
}

func main() {
	listen := flag.String("listen", "", "serve over http on this address, such as :8080, instead of printing once")
	flag.Parse()
	if *listen == "" {
		text, err := page()
		if err != nil {
			log.Fatal(err)
		}
		fmt.Print(text)
		return
	}
	http.HandleFunc("/", func(response http.ResponseWriter, _ *http.Request) {
		text, err := page()
		if err != nil {
			http.Error(response, err.Error(), http.StatusInternalServerError)
			return
		}
		fmt.Fprint(response, text)
	})
	log.Printf("listening on %s", *listen)
	log.Fatal(http.ListenAndServe(*listen, nil))
}
