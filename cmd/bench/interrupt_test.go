package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// asMain has the test binary be bench itself; "wait" has it wait for nothing once it was interrupted.
const asMain = "WEIR_BENCH_AS_MAIN"

func TestMain(m *testing.M) {
	switch os.Getenv(asMain) {
	case "run":
		main()
	case "wait":
		ctx, stop := interruptible()
		defer stop()
		fmt.Println("ready")
		<-ctx.Done()
		fmt.Println("interrupted")
		time.Sleep(time.Minute)
		os.Exit(exitOK)
	}
	os.Exit(m.Run())
}

// process is bench as a process of its own.
func process(t *testing.T, as string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asMain+"="+as)
	return cmd
}

func TestTheSecondInterruptEndsIt(t *testing.T) {
	cmd := process(t, "wait")
	out, err := cmd.StdoutPipe()
	if err != nil || cmd.Start() != nil {
		t.Fatal("it does not start")
	}
	lines := bufio.NewScanner(out)
	for _, want := range []string{"ready", "interrupted"} {
		if !lines.Scan() || lines.Text() != want {
			t.Fatalf("said %q", lines.Text())
		}
		cmd.Process.Signal(os.Interrupt)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	again, limit := time.NewTicker(50*time.Millisecond), time.After(20*time.Second)
	defer again.Stop()
	for {
		select {
		case err := <-ended:
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGINT {
				t.Errorf("it ended with %v", err)
			}
			return
		case <-again.C:
			cmd.Process.Signal(os.Interrupt)
		case <-limit:
			t.Fatal("it goes on and on")
		}
	}
}
