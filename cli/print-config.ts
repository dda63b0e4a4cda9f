/** `kymo print-config`: the configuration as it takes effect. */
import { childOf } from '../config/shape.ts'
import { type Node, plainOf, type ScalarNode, yamlOf } from '../config/document.ts'
import { effectiveOf } from '../config/effective.ts'
import { escaped } from '../config/expand.ts'
import { jsonOf } from '../config/json.ts'
import { originOf } from '../config/place.ts'
import { shown } from '../config/shown.ts'
import { exitCodes } from '../service/process.ts'
import type { SourceOptions } from './options.ts'
import { load } from './load.ts'

/** How to print it. */
export interface PrintOptions extends SourceOptions {
  readonly format: 'yaml' | 'json'
  readonly json?: boolean | undefined
  readonly mode: 'redacted' | 'unredacted'
  readonly origin?: boolean | undefined
}

/** Prints it on standard output; returns the exit code. */
export async function printConfig(options: PrintOptions): Promise<number> {
  const loaded = await load(options)
  if (loaded === undefined) return exitCodes.failed
  if (options.mode === 'unredacted') process.stderr.write('secrets are printed: keep the output to yourself\n')
  process.stdout.write(rendered(effectiveOf(loaded), options))
  return exitCodes.clean
}

/** The text of an effective configuration. */
export function rendered(root: Node, { format, json, mode, origin }: Omit<PrintOptions, keyof SourceOptions>): string {
  const plain = plainOf(root, mode === 'unredacted' ? ({ value }) => written(value) : asShown)
  if (json === true || format === 'json') {
    const shown = origin === true ? { config: plain, origins: Object.fromEntries(originsOf(root, [])) } : plain
    return `${jsonOf(shown, 2)}\n`
  }
  if (origin !== true) return yamlOf(plain)
  return yamlOf(plain, path => {
    let node: Node | undefined = root
    for (const step of path) node = childOf(node, step)
    return node === undefined ? undefined : originOf(node.place, process.env)
  })
}

/** With `$` written so that it is the same when it is read again. */
const written = (value: ScalarNode['value']) => (typeof value === 'string' ? escaped(value) : value)

/** References stay what they are. */
const asShown = (node: ScalarNode) => (node.origin === undefined ? written(shown(node)) : shown(node))

/** Where each value came from, by its path. */
function* originsOf(node: Node, path: readonly string[]): Generator<[path: string, origin: string]> {
  const inner: (readonly [string, Node])[] =
    node.kind === 'map'
      ? [...node.entries].map(([key, { value }]) => [key, value])
      : node.kind === 'list'
        ? node.items.map((item, i) => [String(i), item])
        : []
  for (const [key, value] of inner) yield* originsOf(value, [...path, key])
  if (inner.length === 0) yield [path.join('::'), originOf(node.place, process.env)]
}
