package watch

import (
	"os"
	"os/exec"
	"slices"
	"testing"
)

func TestPrograms(t *testing.T) {
	sleep := exec.Command("sleep", "60")
	if err := sleep.Start(); err != nil {
		t.Fatal(err)
	}
	defer sleep.Wait()
	defer sleep.Process.Kill()
	got := Programs([]int{os.Getpid(), sleep.Process.Pid, 1 << 30})
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
