import { createServer, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import {
  encodeJsonFrame,
  type Frame,
  FrameDecoder,
  HELLO_BYTES_MAX,
  PAYLOAD_BYTES_MAX,
  PROTOCOL_VERSIONS,
  ProtocolError,
  parseJson,
} from '../src/sandbox/guest-protocol.ts'
import { type GuestConfig, parseHello, type Welcome } from '../src/sandbox/guest-protocol-messages.ts'
import { Session, type SupervisorState } from './session.ts'

const HELLO_TIMEOUT_MS = 10_000
const STRANGER_COUNT_MAX = 8

export type Control = {
  /** A stream to the gateway through the controlling connection. Throws when there is none. */
  openTunnel(): Duplex
}

/** Accepts connections on the inherited socket. One controls at a time: who proves the secret replaces the last. */
export function serveControl(
  config: GuestConfig,
  state: Pick<SupervisorState, 'execs' | 'deadman'>,
): Control {
  let current: Session | undefined
  let strangers = 0
  const supervisor: SupervisorState = { ...state, config, hasIdentity: false }
  const server = createServer((socket) => {
    if (strangers >= STRANGER_COUNT_MAX) return socket.destroy()
    strangers++
    let isStranger = true
    const admit = () => {
      if (isStranger) strangers--
      isStranger = false
    }
    socket.once('close', admit)
    greet(socket, supervisor, (session) => {
      admit()
      current?.close()
      current = session
    })
  })
  server.listen({ fd: config.controlFd })
  return {
    openTunnel() {
      if (current === undefined) throw new Error('no host is connected')
      return current.openTunnel()
    },
  }
}

/** Reads frames; the first must be a hello with the secret. Whatever does not fit ends the connection. */
function greet(socket: Socket, state: SupervisorState, onAdmitted: (session: Session) => void): void {
  const decoder = new FrameDecoder(HELLO_BYTES_MAX)
  let session: Session | undefined
  const deadline = setTimeout(() => socket.destroy(), HELLO_TIMEOUT_MS)
  const receive = (frame: Frame) => {
    if (session !== undefined) return session.receive(frame)
    const welcome = admitHost(frame, state)
    if (typeof welcome === 'string') {
      socket.end(
        encodeJsonFrame('refused', 0, { code: welcome, message: 'this host does not control this sandbox' }),
      )
      throw new ProtocolError(welcome)
    }
    clearTimeout(deadline)
    decoder.limitPayload(PAYLOAD_BYTES_MAX)
    socket.write(encodeJsonFrame('welcome', 0, welcome))
    session = new Session(socket, state)
    onAdmitted(session)
  }
  let isBroken = false
  socket.on('data', (chunk) => {
    if (isBroken) return
    try {
      for (const frame of decoder.push(chunk)) receive(frame)
    } catch (error) {
      if (!(error instanceof ProtocolError)) throw error
      isBroken = true
      if (session === undefined) socket.end()
      else session.close()
      setTimeout(() => socket.destroy(), 100)
    }
  })
  socket.on('error', () => socket.destroy())
  socket.once('close', () => {
    clearTimeout(deadline)
    session?.close()
  })
}

function admitHost(frame: Frame, { config, hasIdentity }: SupervisorState): Welcome | string {
  if (frame.kind !== 'hello') throw new ProtocolError('the first frame is no hello')
  const hello = parseHello(parseJson(frame.payload), 'hello')
  if (!isEqualInConstantTime(hello.secret, config.secret)) return 'secret_wrong'
  const version = PROTOCOL_VERSIONS.findLast((known) => hello.versions.includes(known))
  if (version === undefined) return 'version_unknown'
  return { version, nonce: hello.nonce, sandboxId: config.sandboxId, hasIdentity }
}

function isEqualInConstantTime(given: string, secret: string): boolean {
  let difference = given.length ^ secret.length
  for (let i = 0; i < secret.length; i++) difference |= (given.charCodeAt(i) || 0) ^ secret.charCodeAt(i)
  return difference === 0
}
