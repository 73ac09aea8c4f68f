package main

import (
	"fmt"
	"strings"
	"time"
)

// The report as tables for a person. An aim that is missed is marked by `<`.
func markdown(r report, ours, other string) string {
	var out strings.Builder
	fmt.Fprintf(&out, "| client | operation | %[1]s | %[2]s | times | aim | p50/p99 %[1]s, ms | p50/p99 %[2]s, ms | CPU %[1]s, µs | CPU %[2]s, µs | part | aim | CPU client, µs |\n", ours, other)
	out.WriteString("|---|---|---:|---:|---:|---|---:|---:|---:|---:|---:|---|---:|\n")
	for _, row := range r.Rows {
		a, b := row.Results[ours], row.Results[other]
		fmt.Fprintf(&out, "| %s | %s | %s | %s | %.2f | %s | %s | %s | %s | %s | 1/%.1f | %s | %s |\n", row.Client, row.Operation,
			speed(a, row), speed(b, row), a.rate()/b.rate(), aim(a.rate()/b.rate(), row.speed, ""), times(a), times(b), micros(a.CPU), micros(b.CPU),
			float64(b.CPU)/float64(a.CPU), aim(float64(b.CPU)/float64(a.CPU), row.cpu, "1/"), micros(a.ClientCPU))
	}
	fmt.Fprintf(&out, "\n| | %s | %s | aim |\n|---|---:|---:|---|\n", ours, other)
	a, b := r.Servers[ours], r.Servers[other]
	line := func(what string, a, b, most float64) {
		mark := ""
		if a > most {
			mark = " <"
		}
		other := "-"
		if b > 0 {
			other = fmt.Sprintf("%.0f", b)
		}
		fmt.Fprintf(&out, "| %s | %.0f | %s | %.0f%s |\n", what, a, other, most, mark)
	}
	line("start to first answer, empty folder, ms", a.StartMillis, b.StartMillis, 100)
	if r.MillionStart > 0 {
		line("the same with a million objects, ms", r.MillionStart, 0, 1000)
		line("resident with a million objects, MiB", r.MillionIdle, 0, 150)
	}
	line("resident idle, MiB", a.Idle, b.Idle, 30)
	line("resident at the peak, MiB", a.Peak, b.Peak, 150)
	return out.String()
}

func speed(r result, row row) string {
	if row.Bytes >= mib {
		return fmt.Sprintf("%.0f MiB/s", r.rate()*float64(row.Bytes)/mib)
	}
	return fmt.Sprintf("%.0f/s", r.rate())
}

func aim(reached, wanted float64, prefix string) string {
	switch {
	case wanted == 0:
		return ""
	case reached < wanted:
		return fmt.Sprintf("%s%g <", prefix, wanted)
	default:
		return fmt.Sprintf("%s%g", prefix, wanted)
	}
}

func times(r result) string { return millis(r.P50) + " / " + millis(r.P99) }

func millis(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d)/1e6) }

func micros(d time.Duration) string { return fmt.Sprintf("%.0f", float64(d)/1e3) }
