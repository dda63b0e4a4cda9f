/** The process of an attacker: runs one attack of the table, and then is gone with all its connections. */
import { fork } from 'node:child_process'
import { setPriority } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { Attack, Target } from './attack.ts'
import { attackNamed } from './table.ts'

/** What it is told at its start. */
interface Order extends Pick<Target, 'ports' | 'folder' | 'config' | 'bundle'> {
  readonly name: string
  readonly seconds: number
}

type Message = { readonly fault: string } | { readonly heard: Readonly<Record<string, number>> } | 'begin'

/** What came of an attack, as the attacker saw it. */
export interface Seen {
  readonly faults: readonly string[]
  readonly heard: Readonly<Record<string, number>>
  /** Seconds it went on. */
  readonly took: number
}

/** Seconds of an attack that does not say how long it goes on. */
const usual = 8

/** Runs the attack in a process of its own, which is ended when it stays too long, or nothing is left to attack. */
export async function send(
  { name, seconds = usual }: Attack,
  target: Pick<Target, 'ports' | 'folder' | 'config' | 'bundle'>,
  begun: () => void,
  dead: Promise<unknown>,
): Promise<Seen> {
  const order: Order = { ...target, name, seconds }
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(order)], { execArgv: [] })
  const faults: string[] = []
  let heard: Readonly<Record<string, number>> = {}
  let from = performance.now()
  child.on('message', (message: Message) => {
    if (message === 'begin') {
      from = performance.now()
      begun()
    } else if ('fault' in message) faults.push(message.fault)
    else heard = message.heard
  })
  // Making what it sends takes time of its own.
  const late = setTimeout(() => child.kill('SIGKILL'), (seconds + 100) * 1000)
  let won = false
  void dead.then(() => (won = child.kill('SIGKILL')))
  const code = await new Promise<number | null>(resolve => child.on('exit', resolve))
  clearTimeout(late)
  if (code !== 0 && !won) faults.push(`the attacker ended with ${code ?? 'a signal'}`)
  return { faults, heard, took: (performance.now() - from) / 1000 }
}

async function act({ name, seconds, ...rest }: Order): Promise<void> {
  // The others go first: it is the victim's time that is measured, not that of the machine.
  setPriority(10)
  process.on('disconnect', () => process.exit(1))
  const tell = (message: Message) =>
    new Promise<void>(resolve => {
      if (process.send === undefined) return resolve()
      process.send(message, undefined, {}, () => resolve())
    })
  const heard: Record<string, number> = {}
  const end = new AbortController()
  const attack = attackNamed(name)
  await attack.prepare?.()
  await tell('begin')
  const timer = setTimeout(() => end.abort(), seconds * 1000)
  let told: Promise<void> = Promise.resolve()
  const target: Target = {
    ...rest,
    over: end.signal,
    fault: what => {
      told = tell({ fault: what })
    },
    heard: what => {
      heard[what] = (heard[what] ?? 0) + 1
    },
  }
  try {
    await Promise.race([
      attack.run(target),
      // What does not end by itself is left where it is.
      new Promise(resolve => end.signal.addEventListener('abort', () => setTimeout(resolve, 1000))),
    ])
  } catch (error) {
    target.fault(`the attack itself failed: ${error instanceof Error ? error.stack : String(error)}`)
  }
  clearTimeout(timer)
  await told
  await tell({ heard })
  process.exit(0)
}

if (import.meta.main) await act(JSON.parse(process.argv[2]) as Order)
