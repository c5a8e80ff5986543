# quickstart --tunnel: a hospital and an edge on one machine, a tunnel between them that is cut and comes back.
# Functions for deploy/quickstart, which has lib.sh, $bin, $sample and build(); sourced, it runs nothing by itself.
# shellcheck shell=bash
#
# All that it makes are two network namespaces, processes in them, and one folder. They have fixed names, so that what
# was left behind by a kill -9 is found and removed by the next run; the folder's lock says whether there is another one.

: "${bin:?}" "${sample:?}"
readonly work=/tmp/mllp-gateway-tunnel # below it everybody may pass: mllp-tunneld runs as nobody
readonly site_prefix=mllpgw-demo-      # names of network namespaces are the whole machine's
readonly demo_config=config/tunnel-demo.cfg
readonly demo_tunnel=demo-hospital
readonly demo_listener=10.20.0.1:2575
readonly demo_log=build/tunnel-demo.log # what is kept when something went wrong
declare -A pid_of=()                    # processes of this run, by name
keep=no
step_number=0

# --- words ---

step() {
    step_number=$((step_number + 1))
    say
    say "$step_number. $*"
}
indented() { sed '/^[[:space:]]*$/d; s/^/     /'; }
show_command() { say "   $1\$ ${*:2}"; } # SITE WORD...

# --- what it takes, and whose turn it is ---

need_root_and_namespaces() {
    local problem
    PATH=$PATH:/usr/sbin:/sbin
    [ "$(id -u)" -eq 0 ] || die "--tunnel makes network namespaces and runs two VPN gateways in them, which needs root: \
sudo $(printf '%q' "$PWD/deploy/quickstart") --tunnel"
    problem=$(unshare --net true 2>&1) || die "--tunnel needs network namespaces, and this machine gives none ($problem). \
In a container: start it with --privileged, or with --cap-add NET_ADMIN --cap-add SYS_ADMIN --device /dev/net/tun"
    problem=$({ : <>/dev/net/tun; } 2>&1) || die "--tunnel needs /dev/net/tun for the tunnel's packets: \
${problem##*: }. On a machine: modprobe tun. In a container: --device /dev/net/tun"
}

# The lock is the folder's own; what is started here must not inherit it (9<&-). 8 is our own output: a trap finds 1
# wherever the function that it interrupted had led it.
take_turn() {
    mkdir -m 0711 "$work" 2>/dev/null || true
    if [ ! -d "$work" ] || [ -L "$work" ] || [ ! -O "$work" ]; then die "$work is somebody else's: move it away"; fi
    exec 9<"$work"
    if ! flock --nonblock 9 || [ ! "$work" -ef /proc/self/fd/9 ]; then
        die "the tunnel demo is running already$(sed 's/^/: /' "$work/runs" 2>/dev/null). Wait for it, or end it with \
Ctrl-C where it was started"
    fi
    exec 8>&1
    trap 'clean_up $?' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    trap 'exit 129' HUP
    if [ -n "$(ls -A "$work")" ]; then
        remove_leftovers
        mkdir -m 0711 "$work"
        exec 9<"$work"
        flock --nonblock 9 || die "another tunnel demo came first; run this again"
    fi
    say "pid $$, from $PWD" >"$work/runs"
}

# --- the end ---

is_ours() { # PID: a number may have gone to somebody else's process by now, a child's can't have
    [ "$(awk '$1 == "PPid:" { print $2 }' "/proc/$1/status" 2>/dev/null)" = $$ ]
}
runs() { is_ours "$1" && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; } # PID
end_process() { # NAME [SIGNAL]
    local pid=${pid_of[$1]:-}
    [ -n "$pid" ] || return 0
    unset "pid_of[$1]"
    if is_ours "$pid"; then
        kill "-${2:-TERM}" "$pid" 2>/dev/null || true
        for _ in $(seq 50); do
            runs "$pid" || break
            sleep 0.1
        done
        ! runs "$pid" || kill -KILL "$pid" 2>/dev/null || true
    fi
}

remove_all() {
    local name site
    for name in sender gateway tunneld hospital-charon edge-charon; do end_process $name; done
    for site in hospital edge; do
        [ ! -e "/run/netns/$site_prefix$site" ] || ip netns delete "$site_prefix$site" ||
            warn "the network namespace $site_prefix$site could not be removed"
    done
    rm -rf "$work"
}

# Of a run that had no time to clean up: what is in its namespaces is its own.
remove_leftovers() {
    local site pid
    say "A run before this one was killed; removing what it left behind."
    for site in hospital edge; do
        [ -e "/run/netns/$site_prefix$site" ] || continue
        for pid in $(ip netns pids "$site_prefix$site"); do kill -KILL "$pid" 2>/dev/null || true; done
    done
    remove_all
}

clean_up() { # STATUS
    set +e
    trap '' INT TERM HUP
    trap - EXIT
    if [ "$1" -ne 0 ] && [ "$1" -lt 128 ]; then keep_logs; fi
    remove_all
    give_back build
    exec >&8
    say
    say "Removed: both namespaces, all that ran in them, and $work. Only what was built is left, in build."
    exit "$1"
}

# No secrets and no message content are in them.
keep_logs() {
    local log
    mkdir -p build
    for log in "$work"/*.log; do
        [ ! -s "$log" ] || printf '== %s\n%s\n' "$(basename "$log")" "$(cat "$log")"
    done >"$demo_log"
    if [ -s "$demo_log" ]; then say "It did not work; all logs are in $PWD/$demo_log." >&2; else rm -f "$demo_log"; fi
}

# --- sites ---

in_site() { # SITE COMMAND...
    ip netns exec "$site_prefix$1" "${@:2}"
}
# Its pid is kept, its output goes to a log; no Ctrl-C reaches it, and the shell says nothing of its end.
start_in_site() { # NAME SITE COMMAND...
    setsid ip netns exec "$site_prefix$2" "${@:3}" >>"$work/$1.log" 2>&1 </dev/null 8>&- 9<&- &
    pid_of[$1]=$!
    disown $!
}
# Nothing here takes longer than a few seconds on any machine.
wait_for() { # WHAT COMMAND...
    for _ in $(seq 300); do
        if "${@:2}" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    die "$1: not within 30 seconds"
}
# The same of something that a process does: its end is noticed at once, and its log's end is shown.
wait_for_of() { # NAME WHAT COMMAND...
    local pid=${pid_of[$1]}
    for _ in $(seq 300); do
        if "${@:3}" >/dev/null 2>&1; then return; fi
        runs "$pid" || break
        sleep 0.1
    done
    tail -n 20 "$work/$1.log" | indented >&2
    if runs "$pid"; then die "$2: not within 30 seconds (above: its log)"; fi
    die "$2 ended (above: its log)"
}
say_seconds() { awk -v from="$1" -v to="$EPOCHREALTIME" 'BEGIN { printf "%.1f s\n", to - from }'; }

make_wire() {
    local site problem
    for site in hospital edge; do
        problem=$(ip netns add "$site_prefix$site" 2>&1) ||
            die "can't make a network namespace: $problem. In a container: start it with --privileged"
        in_site $site ip link set lo up
    done
    ip -n "${site_prefix}hospital" link add wire type veth peer name wire netns "${site_prefix}edge"
    connect_site hospital 192.0.2.1 10.10.0.1 192.0.2.2 10.20.0.0/24
    connect_site edge 192.0.2.2 10.20.0.1 192.0.2.1 10.10.0.0/24
}
# The route is what a careless network has: where no tunnel takes them, packets go to the other side in the clear.
connect_site() { # SITE OUTSIDE INSIDE OTHER-OUTSIDE OTHER-NETWORK
    in_site "$1" ip addr add "$2/24" dev wire
    in_site "$1" ip addr add "$3/32" dev lo
    in_site "$1" ip link set wire up
    in_site "$1" ip route add "$5" via "$4" src "$3"
}

# Programs are run from the folder: nobody, whom mllp-tunneld runs as, may not be allowed to look into the clone, and
# AppArmor's profiles of Debian's swanctl and charon-systemd, which go by the path, let them read /etc alone.
copy_programs() {
    local problem
    install -m 0755 "$bin/mllp-tunneld" "$(command -v charon-systemd)" "$(command -v swanctl)" "$work/"
    problem=$("$work/mllp-tunneld" --help 2>&1 >/dev/null) || die "programs can't be run from $work: $problem"
}
swanctl_of() { # SITE OPTIONS...
    STRONGSWAN_CONF=$work/$1.conf "$work/swanctl" "${@:2}" --uri "unix://$work/$1.vici"
}
start_charon() { # SITE
    local plugins
    plugins=$(sed -n 's/^ *#load = \(.*kernel-libipsec.*\)/\1/p' deploy/strongswan/strongswan.conf)
    cat >"$work/$1.conf" <<END
charon-systemd {
    # As deploy/strongswan/strongswan.conf, but a silent other side is given up after 2.4 s, not 24.
    load = $plugins
    retransmit_timeout = 0.5
    retransmit_base = 1.5
    retransmit_tries = 2
    plugins { vici { socket = unix://$work/$1.vici } }
    journal { default = 1 }
}
swanctl {
    load = random nonce openssl pem pkcs1 x509
}
END
    rm -f "$work/$1.vici"
    start_in_site "$1-charon" "$1" env STRONGSWAN_CONF="$work/$1.conf" "$work/charon-systemd"
    wait_for_of "$1-charon" "the $1's charon" swanctl_of "$1" --stats
    swanctl_of "$1" --stats | grep -q kernel-libipsec ||
        die "the $1's charon could not load kernel-libipsec; is libcharon-extra-plugins installed?"
}

# --- the hospital ---

load_hospital() {
    run_logged "$work/swanctl.log" swanctl_of hospital --load-all --file "$work/hospital.swanctl.conf"
}
set_up_hospital() {
    local sheet=$work/hospital.swanctl.conf
    "$bin/mllpctl" tunnel worksheet "$demo_tunnel" --for swanctl --config "$demo_config" --directory "$work" >"$sheet"
    grep -E '_addrs|proposals|_ts|secret =' "$sheet" | sed 's/^ */     /'
    sed -i "s/PUT-THE-KEY-HERE/$(cat "$work/$demo_tunnel.psk")/" "$sheet"
    chmod 0600 "$sheet"
    show_command hospital "swanctl --load-all        # with the key put in, which is told by another way than the sheet"
    load_hospital
}

new_message() {
    message_id=DEMO$(date +%d%H%M%S%3N)
    sed "s/|DEMO0001|/|$message_id|/" "$sample" >"$work/message.hl7"
}
# An acknowledgment is shown; whether there must be one is the caller's to say.
send_from_hospital() { # OPTIONS...
    show_command hospital mllpctl send message.hl7 --to "$demo_listener" --show "$@"
    in_site hospital "$bin/mllpctl" send "$work/message.hl7" --to "$demo_listener" --show --quiet "$@" >"$work/sent" 2>&1 ||
        return
}
is_stored() { grep -rqF --include='*.hl7' "|$message_id|" "$work/messages"; }
message_goes_through() {
    local file
    new_message
    send_from_hospital || { indented <"$work/sent"; die "the message was not acknowledged"; }
    indented <"$work/sent"
    wait_for "the message in the store" is_stored
    file=$(grep -rlF --include='*.hl7' "|$message_id|" "$work/messages")
    cmp -s "$file" "$work/message.hl7" || die "the stored message is not what was sent"
    say "   Made safe on disk, acknowledged (MSA|AA), and delivered to the store, byte for byte:"
    say "     $file"
}

# --- the edge ---

prepare_edge() {
    "$bin/mllpctl" key new "$work/spool.key" >/dev/null
    (umask 077 && openssl rand -hex 32 >"$work/$demo_tunnel.psk")
    chown nobody "$work/$demo_tunnel.psk"
    chown daemon "$work/spool.key"
    install -d -m 0751 -o daemon "$work/state"
    install -d -m 0750 -o daemon "$work/messages"
    install -d -m 0751 -o nobody "$work/tunneld"
    install -m 0644 "$demo_config" "$work/gateway.cfg"
}
start_tunneld() {
    show_command edge mllp-tunneld --config gateway.cfg
    chown nobody "$work/edge.vici" # charon's socket: whoever may open it rules charon
    # In the group of the gateway's user, which gets the status socket.
    start_in_site tunneld edge setpriv --reuid=nobody --regid=nogroup --groups=daemon --no-new-privs \
        "$work/mllp-tunneld" --config "$work/gateway.cfg" --directory "$work"
    wait_for_of tunneld "mllp-tunneld, which sets the tunnel up," grep -q 'event=tunnel-up ' "$work/tunneld.log"
}
edge_guards() { # OPTIONS...
    show_command edge deploy/guards "$@"
    MLLPCTL="$PWD/$bin/mllpctl" in_site edge deploy/guards --config "$work/gateway.cfg" --directory "$work" "$@" | indented
}
start_edge_gateway() {
    show_command edge mllp-gateway --config gateway.cfg
    start_in_site gateway edge "$bin/mllp-gateway" --config "$work/gateway.cfg" --directory "$work"
    wait_for_of gateway mllp-gateway "$bin/mllpctl" status --socket "$work/state/control.sock"
}
# "connecting" is down, too. Exit code 1 of mllpctl tunnels says that one is not up.
tunnel_state() { { "$bin/mllpctl" tunnels --socket "$work/state/control.sock" || true; } | awk -v name="$demo_tunnel" \
    '$1 == name { print $2 == "connecting" ? "down" : $2 }'; }
tunnel_is() { [ "$(tunnel_state)" = "$1" ]; } # STATE
show_tunnels() {
    show_command edge "mllpctl tunnels"
    "$bin/mllpctl" tunnels --socket "$work/state/control.sock" >"$work/shown" || true
    indented <"$work/shown"
}
# The hospital's interface engine: one connection that stays, a made-up message a second.
start_sender() {
    show_command hospital mllpctl send --to "$demo_listener" --count 3600 --rate 1
    start_in_site sender hospital "$bin/mllpctl" send --to "$demo_listener" --count 3600 --rate 1
    wait_for "traffic in the tunnel" has_traffic
}
has_traffic() { # LAST IN and SESSIONS are known
    "$bin/mllpctl" tunnels --socket "$work/state/control.sock" | awk -v name="$demo_tunnel" \
        '$1 == name { found = $6 != "-" && $9 == 1 } END { exit !found }'
}
log_mark() { stat -c %s "$work/gateway.log"; }
gateway_logged() { # MARK TEXT
    tail -c "+$(($1 + 1))" "$work/gateway.log" | grep -F "$2"
}

# --- the demo ---

introduce() {
    cat <<'TEXT'

A hospital's HL7 messages through a site-to-site IPsec tunnel, all on this machine: two network namespaces, joined by
a wire. The machine's own network, firewall and strongSwan are left alone.

     hospital                                        edge (this is ours)
     10.10.0.1  sends HL7 messages                   10.20.0.1:2575  mllp-gateway listens
     192.0.2.1  its VPN gateway  ════ the wire ════  192.0.2.2       our VPN gateway, kept by mllp-tunneld
TEXT
}

tunnel_comes_up() {
    local begin
    step "Two sites, a VPN gateway in each: strongSwan's charon, which does ESP itself here (kernel-libipsec)."
    copy_programs
    make_wire
    prepare_edge
    start_charon hospital
    start_charon edge
    say "   Both run: strongSwan $(swanctl_of edge --version --daemon | awk '{ print $2, $3; exit }')."

    step "The hospital sets up its side from a sheet that we make out of our configuration ($demo_config). Its main lines:"
    show_command edge "mllpctl tunnel worksheet $demo_tunnel --for swanctl"
    set_up_hospital

    step "Our side: mllp-tunneld reads the same file, hands the tunnel to charon and starts it."
    begin=$EPOCHREALTIME
    start_tunneld
    say "   The tunnel is up $(say_seconds "$begin") later. From its log:"
    grep 'event=tunnel-up ' "$work/tunneld.log" | indented
    say "   The guards (a firewall table and a route) let nothing pass for the tunnel's that did not come through it:"
    edge_guards
    say "   Then the gateway, which lets the hospital in through its tunnel only:"
    start_edge_gateway
    wait_for "the gateway to hear of the tunnel" tunnel_is up
    show_tunnels
}

tunnel_is_cut() {
    local begin mark
    step "A connection that stays open, a message a second, and then the tunnel is cut."
    start_sender
    show_tunnels
    say "   Now the hospital's VPN gateway is killed. It had no time to say so to ours."
    mark=$(log_mark)
    begin=$EPOCHREALTIME
    end_process hospital-charon KILL
    wait_for "the gateway to notice" gateway_logged "$mark" 'event=connection-closed '
    say "   Dead peer detection gets no answer and gives the tunnel up; the gateway closes the connection, $(say_seconds "$begin")
   after the cut. (Here it asks each second and gives up 2.4 s later; as shipped: each 30 s, and 24 s.) Our log:"
    gateway_logged "$mark" =tunnel-down | indented
    end_process sender
    show_tunnels
}

message_is_refused() {
    local mark
    step "The hospital sends on. Without its tunnel a careless router passes that on in the clear; our guards drop it:"
    new_message
    ! send_from_hospital --timeout 2 || die "a message was acknowledged that came in the clear"
    indented <"$work/sent"
    show_command edge "nft list table inet mllpgw_guard | grep 'clear text from its remote'"
    in_site edge nft list chain inet mllpgw_guard input | grep 'clear text from its remote' | sed 's/^[[:space:]]*/     /'
    say "   And without guards? For one message they are taken away:"
    edge_guards --remove
    mark=$(log_mark)
    ! send_from_hospital --timeout 2 || die "a message was acknowledged that came in the clear"
    indented <"$work/sent"
    wait_for "the refusal in the gateway's log" gateway_logged "$mark" reason=tunnel-down
    say "   Now the gateway itself refuses the connection, before it reads a byte. Its log gives the reason, tunnel-down:"
    gateway_logged "$mark" reason=tunnel-down | indented
    ! is_stored || die "a message was stored that came in the clear"
    say "   The guards are loaded again:"
    edge_guards
}

tunnel_is_back() {
    local begin
    step "The tunnel comes back: the hospital's VPN gateway is started again."
    start_charon hospital
    load_hospital
    begin=$EPOCHREALTIME
    wait_for "the tunnel" tunnel_is up
    say "   Up again by itself, $(say_seconds "$begin") later."
    show_tunnels
    if grep -q 'refused while being set up' "$work/shown"; then
        say "   (The last alert is of a try before the hospital's side had loaded its configuration.)"
    fi
    step "The hospital sends the next message:"
    message_goes_through
}

stay_up() {
    cat <<TEXT

It stays up until you press Ctrl-C here. In another terminal, as root:
  export MLLPGW_SOCKET=$work/state/control.sock PATH="$(printf '%q' "$PWD/$bin"):\$PATH"
  mllpctl tunnels --watch
  mllpctl connections
  tail -f $work/gateway.log $work/tunneld.log
The hospital sends, ten messages a second; and what of that is on the wire (ESP in UDP 4500, no HL7):
  ip netns exec ${site_prefix}hospital mllpctl send --to $demo_listener --count 1000 --rate 10
  ip netns exec ${site_prefix}edge tcpdump -ni wire
The wire is cut; then the same with "up":
  ip -n ${site_prefix}hospital link set wire down
What strongSwan and the firewall say:
  STRONGSWAN_CONF=$work/edge.conf $work/swanctl --list-sas --uri unix://$work/edge.vici
  ip netns exec ${site_prefix}edge nft list table inet mllpgw_guard
A shell at the hospital:
  ip netns exec ${site_prefix}hospital bash
TEXT
    while sleep 1 9<&-; do :; done
}

tunnel_demo() {
    local begin
    need_root_and_namespaces
    take_turn
    deploy/install-dependencies --for tunnels || exit 1
    build mllp-tunneld
    rm -f "$demo_log"
    begin=$SECONDS
    introduce
    tunnel_comes_up
    step "The hospital sends a message, an admission ($sample):"
    message_goes_through
    tunnel_is_cut
    message_is_refused
    tunnel_is_back
    say
    say "That was it, in $((SECONDS - begin)) seconds. For a tunnel to a real hospital: vpn/README.md."
    [ $keep = no ] || stay_up
}
