package lab

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestPortsAreNobodyElses hands out more ports than a block has, in two processes.
func TestPortsAreNobodyElses(t *testing.T) {
	mine := FreePorts(t, blockSize+blockSize/2)
	if os.Getenv("WEIR_TEST_PORTS") != "" {
		os.Stdout.WriteString("ports " + strings.Join(mine, " ") + "\n")
		return
	}
	child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$")
	child.Env = append(os.Environ(), "WEIR_TEST_PORTS=1")
	out, err := child.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	line, _, _ := strings.Cut(string(out), "\n")
	theirs := strings.Fields(line)[1:]
	if len(theirs) != len(mine) {
		t.Fatalf("%d ports, then %d", len(mine), len(theirs))
	}
	seen := map[string]bool{}
	for _, addr := range append(mine, theirs...) {
		if seen[addr] {
			t.Errorf("%s was handed out twice", addr)
		}
		seen[addr] = true
	}
}
