package watch

import (
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

func TestPrograms(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer sleep.Wait()
	defer sleep.Process.Kill()
	var got []Program
	// For a moment after Start the kernel has not put the arguments in place.
	for end := time.Now().Add(30 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		got = Programs([]int{os.Getpid(), sleep.Process.Pid, 1 << 30})
		if len(got[1].Command) > 0 {
			break
		}
	}
	if len(got) != 3 || got[0].Go == "" || !slices.Equal(got[0].Command, os.Args) {
		t.Errorf("this process: %+v", got)
	}
	if !slices.Equal(got[1].Command, []string{"sleep", "60"}) || got[1].Go != "" {
		t.Errorf("one that is no Go program: %+v", got[1])
	}
	if got[2].PID != 1<<30 || got[2].Command != nil {
		t.Errorf("none: %+v", got[2])
	}
	if Programs(nil) != nil {
		t.Error("programs of no processes")
	}
}
