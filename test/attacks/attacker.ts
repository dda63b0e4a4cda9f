/** The process of an attacker: runs attacks of the table, and is gone with all its connections after each. */
import { type ChildProcess, fork } from 'node:child_process'
import { subscribe } from 'node:diagnostics_channel'
import type { Socket } from 'node:net'
import { setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Attack, Target } from './attack.ts'
import { attackNamed } from './table.ts'

/** What is attacked. */
export type Aim = Pick<Target, 'ports' | 'folder' | 'config' | 'bundle'>

interface Order extends Aim {
  readonly name: string
  readonly seconds: number
}

type Message = 'ready' | 'begin' | { readonly fault: string } | { readonly heard: Readonly<Record<string, number>> }

/** What came of an attack, as the attacker saw it. */
export interface Seen {
  readonly faults: readonly string[]
  readonly heard: Readonly<Record<string, number>>
  /** Seconds it went on. */
  readonly took: number
}

/** Seconds of an attack that does not say how long it goes on. */
const usual = 8
/** Seconds that making what is sent may take, on a slow machine. */
const preparing = 100

/** The attacker, seen from the process that measures. */
export class Attacker {
  readonly #child: ChildProcess = fork(fileURLToPath(import.meta.url), { execArgv: [] })
  readonly #ready = new Promise(resolve => this.#child.once('message', resolve))

  /** Runs one attack, which is ended when it stays too long, or when nothing is left to attack. */
  async send({ name, seconds = usual }: Attack, aim: Aim, begun: () => void, dead: Promise<unknown>): Promise<Seen> {
    const child = this.#child
    await this.#ready
    const faults: string[] = []
    let from = performance.now()
    const end = (heard: Seen['heard']): Seen => ({ faults, heard, took: (performance.now() - from) / 1000 })
    return new Promise(resolve => {
      const settle = (heard: Seen['heard']): void => {
        clearTimeout(late)
        child.off('message', hear).off('exit', exited)
        resolve(end(heard))
      }
      const exited = (code: number | null) => {
        faults.push(`the attacker ended with ${code ?? 'a signal'}`)
        settle({})
      }
      const hear = (message: Message) => {
        if (message === 'ready') return
        if (message === 'begin') {
          from = performance.now()
          begun()
        } else if ('fault' in message) faults.push(message.fault)
        else settle(message.heard)
      }
      const late = setTimeout(() => child.kill('SIGKILL'), (seconds + preparing) * 1000)
      child.on('message', hear).on('exit', exited)
      void dead.then(() => settle({}))
      child.send({ ...aim, name, seconds } satisfies Order)
    })
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }
}

const tell = (message: Message) =>
  new Promise<void>(resolve => {
    if (process.send === undefined) return resolve()
    process.send(message, undefined, {}, () => resolve())
  })

async function act({ name, seconds, ...aim }: Order): Promise<void> {
  const heard: Record<string, number> = {}
  const end = new AbortController()
  let told: Promise<void> = Promise.resolve()
  const target: Target = {
    ...aim,
    over: end.signal,
    fault: what => {
      told = tell({ fault: what })
    },
    heard: what => {
      heard[what] = (heard[what] ?? 0) + 1
    },
  }
  let timer: NodeJS.Timeout | undefined
  try {
    const attack = attackNamed(name)
    await attack.prepare?.()
    await tell('begin')
    timer = setTimeout(() => end.abort(), seconds * 1000)
    await Promise.race([
      attack.run(target),
      // What does not end by itself is left where it is.
      new Promise(resolve => end.signal.addEventListener('abort', () => setTimeout(resolve, 1000))),
    ])
  } catch (error) {
    target.fault(`the attack itself failed: ${error instanceof Error ? error.stack : String(error)}`)
  }
  clearTimeout(timer)
  end.abort()
  await told
  await tell({ heard })
}

if (import.meta.main) {
  // The others go first: it is the victim's time that is measured, not that of the machine.
  setPriority(10)
  const sockets = new Set<Socket>()
  subscribe('net.client.socket', message => {
    const { socket } = message as { socket: Socket }
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
  })
  // What was left behind may still fail.
  process.on('uncaughtException', () => {})
  process.on('disconnect', () => process.exit(0))
  process.on('message', (order: Order) => {
    void act(order).then(() => {
      for (const socket of sockets) socket.destroy()
    })
  })
  await tell('ready')
}
