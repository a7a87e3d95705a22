import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { waitFor } from './wait-for.ts'

/** Stands in for systemd: a unix datagram socket that keeps what is sent to it. Node cannot open one, perl can. */
export type NotifySocket = AsyncDisposable & {
  readonly path: string
  /** Messages so far, each as its lines */
  readonly messages: () => readonly (readonly string[])[]
  /** Messages that hold this line */
  readonly count: (line: string) => number
}

const RECEIVER = `
use Socket;
$| = 1;
socket(my $socket, AF_UNIX, SOCK_DGRAM, 0) or die $!;
bind($socket, pack_sockaddr_un($ARGV[0])) or die $!;
print "listening\\n";
while (defined(recv($socket, my $message, 65536, 0))) {
  $message =~ s/\\n/\\x1f/g;
  print "$message\\n";
}
`

export async function openNotifySocket(directory: string): Promise<NotifySocket> {
  const path = join(directory, 'notify.sock')
  const child = spawn('perl', ['-e', RECEIVER, path], { stdio: ['ignore', 'pipe', 'inherit'] })
  const closed = once(child, 'close')
  let text = ''
  child.stdout.setEncoding('utf8').on('data', (data) => (text += data))
  const lines = () => text.split('\n').slice(0, -1)
  await waitFor('the receiver listens', async () => (lines()[0] === 'listening' ? true : undefined))
  const messages = () =>
    lines()
      .slice(1)
      .map((line) => line.split('\x1f'))
  return {
    path,
    messages,
    count: (line) => messages().filter((message) => message.includes(line)).length,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await closed
    },
  }
}
