/** The regular expressions in our own code: each takes time that grows with its text alone, or what it is given is short. */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'

const root = join(import.meta.dirname, '..')
/** Where texts come from senders, destinations and clients; configurations are read by config/ and cli/. */
const folders = [
  'proto',
  'core',
  'backends',
  'net',
  'telemetry',
  'receivers',
  'processors',
  'exporters',
  'connectors',
  'extensions',
  'service',
]

/** What is not linear, and why nothing comes of it. */
const short: Record<string, string> = {
  'core/fields.ts /(\\d+(?:\\.\\d+)?)(ns|us|µs|ms|s|m|h)/g': 'what it sees is a duration as a whole',
  'exporters/prometheus/protobuf-page.ts /(\\w+)="((?:[^"\\\\]|\\\\.)*)"/gs':
    'labels as we write them: it matches at once',
  'net/grpc-server-call.ts /=+$/': 'base64 of ours: two signs at most',
  'net/grpc-target.ts /^[^[]*:.*:\\d+$/': 'an endpoint of the configuration',
  'processors/probabilistic_sampler/threshold.ts /0+$/': 'fourteen digits',
  'processors/probabilistic_sampler/trace-state.ts /^[ \\t]+|[ \\t]+$/g': '1024 characters at most',
  'backends/datadog/traces-normalise.ts /_+$/': '200 characters at most, of which no two of these stand together',
  'proto/json-scalars.ts /=+$/': 'two signs at most, as is asked before',
}

const literal =
  /(?<=[(,=:?!|&[{ ]|return )\/(?![*/ ])((?:\\.|\[(?:\\.|[^\]\\\n])*\]|[^/\\\n[])+)\/([a-z]*)(?=[.,;)\]\s])/g

interface Found {
  readonly where: string
  readonly expression: RegExp
}

function literals(): Found[] {
  return folders.flatMap(folder =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter(name => name.endsWith('.ts'))
      .flatMap(name => {
        const code = readFileSync(join(root, folder, name), 'utf8').replaceAll(/^\s*(?:\/\/|\/?\*).*$/gm, '')
        return [...code.matchAll(literal)].flatMap(([whole, body, flags]): Found[] => {
          try {
            return [{ where: `${folder}/${name} ${whole}`, expression: new RegExp(body, flags.replace('y', '')) }]
          } catch {
            return []
          }
        })
      }),
  )
}

/** Texts that a literal may go over again and again: many of what stands in it, then something else. */
function attacks({ source }: RegExp, size: number): string[] {
  const signs = new Set([
    ...source.replaceAll(/\\[a-zA-Z]|\\u[0-9a-f]{4}/g, '').split(''),
    'a',
    '0',
    ' ',
    '\t',
    '_',
    '=',
    '"',
    ':',
  ])
  const units = [...signs].flatMap(sign => [sign, `a${sign}`, `0${sign}`])
  const starts = ['', source.replaceAll(/\\(.)|[\^$()[\]?*+{}|]/g, '$1').slice(0, 3)]
  return starts.flatMap(start => units.map(unit => `${start}${unit.repeat(size / unit.length)}\u0001!`))
}

const found = literals()

test('there are literals to look at', () => {
  expect(found.length).toBeGreaterThan(80)
})

/** Milliseconds of the processor's time, without what others may have had of it. */
function spent(expression: RegExp, text: string): number {
  const one = (): number => {
    const before = process.threadCpuUsage()
    text.replace(expression, '')
    return process.threadCpuUsage(before).user / 1000
  }
  const first = one()
  return first < 30 ? first : Math.min(first, one())
}

test('each of them is done with a long text soon, unless it never gets one', () => {
  const isSlow = ({ expression }: Found) => attacks(expression, 16_000).some(text => spent(expression, text) > 30)
  expect(found.filter(one => short[one.where] === undefined && isSlow(one)).map(({ where }) => where)).toEqual([])
  expect(Object.keys(short).filter(where => found.every(one => one.where !== where))).toEqual([])
})
