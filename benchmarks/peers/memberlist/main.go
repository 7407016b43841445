// One member of hashicorp/memberlist in a process of its own, for bench_detection.py.
//
// It speaks as peers/member.py does: a line of JSON on standard output for each thing that it was
// told, with the time of CLOCK_MONOTONIC, which all processes of one host share. On standard input
// it takes {"do": "statistics"}; it ends when standard input does.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"os/signal"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"github.com/hashicorp/memberlist"
)

// monotonic is time.monotonic() of Python; Go does not tell its own reading of that clock.
func monotonic() float64 {
	const clockMonotonic = 1
	var at syscall.Timespec
	syscall.Syscall(syscall.SYS_CLOCK_GETTIME, clockMonotonic, uintptr(unsafe.Pointer(&at)), 0)
	return float64(at.Sec) + float64(at.Nsec)/1e9
}

type line map[string]interface{}

var printing sync.Mutex

func say(values line) {
	if _, known := values["time"]; !known {
		values["time"] = monotonic()
	}
	text, err := json.Marshal(values)
	if err != nil {
		panic(err)
	}
	printing.Lock()
	defer printing.Unlock()
	os.Stdout.Write(append(text, '\n'))
}

// events prints what memberlist tells its application.
type events struct{}

func (events) tell(event string, node *memberlist.Node) {
	say(line{"event": event, "member": node.Name, "meta": string(node.Meta)})
}

func (it events) NotifyJoin(node *memberlist.Node)   { it.tell("member_joined", node) }
func (it events) NotifyUpdate(node *memberlist.Node) { it.tell("member_updated", node) }

// NotifyLeave is called for the dead as well; nobody leaves in these benchmarks.
func (it events) NotifyLeave(node *memberlist.Node) { it.tell("member_failed", node) }

// logged looks for suspicions in the log: no delegate is told of them. The log has those of the
// prober itself, before anybody else knows.
type logged struct{ suspect *regexp.Regexp }

func (it logged) Write(text []byte) (int, error) {
	if found := it.suspect.FindSubmatch(text); found != nil {
		say(line{"event": "member_suspected", "member": string(found[1])})
	}
	return len(text), nil
}

// delegate gives the metadata by which the others tell one life of a member from the next.
type delegate struct{ meta []byte }

func (it delegate) NodeMeta(limit int) []byte                  { return it.meta }
func (it delegate) NotifyMsg([]byte)                           {}
func (it delegate) GetBroadcasts(overhead, limit int) [][]byte { return nil }
func (it delegate) LocalState(join bool) []byte                { return nil }
func (it delegate) MergeRemoteState(buf []byte, join bool)     {}

// counting counts what leaves in datagrams, and the streams that are opened.
type counting struct {
	*memberlist.NetTransport
	packets, bytes, streams uint64
}

func (it *counting) WriteToAddress(data []byte, to memberlist.Address) (time.Time, error) {
	atomic.AddUint64(&it.packets, 1)
	atomic.AddUint64(&it.bytes, uint64(len(data)))
	return it.NetTransport.WriteToAddress(data, to)
}

func (it *counting) DialAddressTimeout(to memberlist.Address, limit time.Duration) (net.Conn, error) {
	atomic.AddUint64(&it.streams, 1)
	return it.NetTransport.DialAddressTimeout(to, limit)
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

func main() {
	name := flag.String("name", "", "of this member")
	host := flag.String("host", "127.0.0.1", "address to listen on")
	port := flag.Int("port", 0, "port to listen on; 0 lets the system choose")
	join := flag.String("join", "", "HOST:PORT of members, with commas between them")
	meta := flag.String("meta", "", "metadata")
	flag.String("profile", "lan", "ignored: always memberlist's DefaultLANConfig")
	flag.Parse()
	// The end of standard input ends us; Ctrl-C is for whoever started us.
	signal.Ignore(os.Interrupt)

	config := memberlist.DefaultLANConfig()
	config.Name = *name
	config.BindAddr = *host
	config.Events = events{}
	config.Delegate = delegate{[]byte(*meta)}
	config.LogOutput = logged{regexp.MustCompile(`Suspect (\S+) has failed`)}

	transport := &counting{}
	listening := &memberlist.NetTransportConfig{BindAddrs: []string{*host}, BindPort: *port}
	listening.Logger = log.New(io.Discard, "", 0) // words about packets to the dead
	// The system chooses a port for one protocol; the other may have it already.
	for try := 0; ; try++ {
		inner, err := memberlist.NewNetTransport(listening)
		if err == nil {
			transport.NetTransport = inner
			break
		}
		if try == 10 {
			fail(err)
		}
		time.Sleep(50 * time.Millisecond)
	}
	config.BindPort = transport.GetAutoBindPort()
	config.AdvertisePort = config.BindPort
	config.Transport = transport

	members, err := memberlist.Create(config)
	if err != nil {
		fail(err)
	}
	address := fmt.Sprintf("%s:%d", *host, config.BindPort)
	say(line{"event": "started", "member": *name, "address": address})
	if *join != "" {
		go enter(members, strings.Split(*join, ","))
	}
	listen(members, transport)
}

// enter joins, again and again while no seed answers.
func enter(members *memberlist.Memberlist, seeds []string) {
	for {
		if _, err := members.Join(seeds); err == nil {
			return
		}
		time.Sleep(200 * time.Millisecond)
	}
}

// listen does what standard input says until it ends.
func listen(members *memberlist.Memberlist, transport *counting) {
	commands := bufio.NewScanner(os.Stdin)
	for commands.Scan() {
		var asked struct{ Do string }
		if err := json.Unmarshal(commands.Bytes(), &asked); err != nil || asked.Do != "statistics" {
			fail(fmt.Errorf("no such command: %s", commands.Text()))
		}
		say(line{
			"done":    "statistics",
			"packets": atomic.LoadUint64(&transport.packets),
			"bytes":   atomic.LoadUint64(&transport.bytes),
			"streams": atomic.LoadUint64(&transport.streams),
			"members": members.NumMembers(),
			"health":  members.GetHealthScore(),
		})
	}
}
