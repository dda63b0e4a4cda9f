/** Attacks on who may: tokens, passwords, the admin server, secrets, and the folders of a machine that others use, too. */
import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, lchownSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { signals } from '../../proto/signals.ts'
import { type Attack, post, repeat, type Target } from './attack.ts'
import { itemWith } from './bodies.ts'
import { adminToken, canary } from './victims.ts'

const body = itemWith('traces', [])

/** Runs the command line of what is attacked, at most for some seconds. */
function kymo(target: Target, args: readonly string[], env: Readonly<Record<string, string>> = {}, seconds = 6) {
  const { PATH = '' } = process.env
  const options = { env: { PATH, ...env }, encoding: 'utf8', timeout: seconds * 1000, killSignal: 'SIGKILL' } as const
  const { status, stdout, stderr } = spawnSync(process.execPath, [target.bundle, ...args], options)
  return { status, output: stdout + stderr }
}

/** A request to the admin server with any headers; the status and the text. */
function ask(
  target: Target,
  method: string,
  path: string,
  headers: Readonly<Record<string, string>> = {},
  content = '',
): Promise<{ status: number; text: string }> {
  return new Promise(resolve => {
    const options = { host: '127.0.0.1', port: target.ports.admin, method, path, headers, agent: false }
    const request = httpRequest(options, response => {
      let text = ''
      response.setEncoding('utf8').on('data', (chunk: string) => (text += chunk))
      response.on('close', () => {
        target.heard(`${method} ${response.statusCode}`)
        resolve({ status: response.statusCode ?? 0, text })
      })
    })
    request.on('error', error => resolve({ status: 0, text: error.message }))
    request.end(content)
  })
}

/** F3. */
async function emptyTokens(target: Target): Promise<void> {
  for (const [what, value] of [
    ['no header', undefined],
    ['an empty header', ''],
    ['a blank', ' '],
    ['a comma', ','],
    ['half the key', 'the key'],
    ['another scheme', 'Bearer the key that opens'],
    ['undefined', 'undefined'],
    ['null', 'null'],
  ] as const) {
    const status = await post(target, signals.traces.path, body, value === undefined ? {} : { 'x-api-key': value })
    if (status !== 401) target.fault(`${what} is answered ${status}`)
  }
  const empty = join(target.folder, 'empty-tokens')
  writeFileSync(empty, '\n\n', { mode: 0o600 })
  const config = JSON.parse(readFileSync(target.config, 'utf8')) as { extensions: { bearertokenauth: object } }
  const cases: [what: string, more: object, env: Record<string, string>][] = [
    ['a variable that is not set', {}, { KEY: 'a' }],
    ['a variable that is empty', {}, { KEY: 'a', OLD_KEY: '' }],
    ['a variable of blanks', {}, { KEY: 'a', OLD_KEY: ' ' }],
    ['an empty token', { tokens: ['a', ''] }, {}],
    ['no token at all', { tokens: [] }, {}],
    ['a file without a token', { tokens: [], filename: empty }, {}],
  ]
  for (const [what, more, env] of cases) {
    const path = join(target.folder, 'other.yaml')
    const changed = { ...config, extensions: { bearertokenauth: { ...config.extensions.bearertokenauth, ...more } } }
    writeFileSync(path, JSON.stringify(changed))
    const { status } = kymo(target, ['validate', '--config', path], env)
    if (status === 0) target.fault(`validate takes a configuration with ${what}`)
  }
}

/** F8. */
const wrongPasswords = (target: Target) =>
  repeat(target, 400, 20, i => {
    const name = ['rightful', 'other', 'nobody'][i % 3]
    const authorization = `Basic ${Buffer.from(`${name}:wrong ${i}`).toString('base64')}`
    return post(target, signals.traces.path, body, { authorization }).then(status => {
      if (status === 200) target.fault('a wrong password opens')
    })
  })

/** Where a value of the environment or of a file is put, so that an error is about it. */
const places: readonly [where: string, change: (config: Configuration, value: string) => void][] = [
  [
    'a number',
    (config, value) => Object.assign(config.exporters.otlp_grpc, { sending_queue: { num_consumers: value } }),
  ],
  ['a duration', (config, value) => Object.assign(config.exporters.otlp_grpc, { timeout: value })],
  ['a word of a list', (config, value) => Object.assign(config.exporters.otlp_grpc, { compression: value })],
  ['an address', (config, value) => Object.assign(config.exporters.otlp_grpc, { endpoint: `:::${value}` })],
  ['a key', (config, value) => Object.assign(config.exporters.otlp_grpc, { [value]: 1 })],
  ['a section', (config, value) => Object.assign(config.exporters.otlp_grpc, { tls: value })],
  ['the name of a component', (config, value) => Object.assign(config.service.pipelines.logs, { exporters: [value] })],
  ['a pattern', (config, value) => Object.assign(config.processors, { redaction: { blocked_values: [`(${value}`] } })],
]

interface Configuration {
  exporters: { otlp_grpc: object }
  processors: object
  service: { pipelines: { logs: object } }
}

/** F9. The log is looked at by who measures. */
async function secrets(target: Target): Promise<void> {
  const before = readFileSync(target.config, 'utf8')
  const file = join(target.folder, 'secret-file')
  writeFileSync(file, `${canary}\nmore\n`, { mode: 0o600 })
  for (const [where, change] of places) {
    for (const reference of ['${env:DBPW}', `\${file:${file}}`]) {
      const config = JSON.parse(before) as Configuration
      change(config, reference)
      writeFileSync(target.config, JSON.stringify(config))
      const shown: [string, string][] = [['the answer to a reload', (await ask(target, 'POST', '/v1/reload')).text]]
      for (const path of ['/status', '/v1/config', '/v1/components', '/metrics']) {
        shown.push([path, (await ask(target, 'GET', path)).text])
      }
      // The command line takes its time to start.
      const commands = reference.startsWith('${env') ? [['validate'], ['print-config']] : []
      for (const command of commands) {
        const { output } = kymo(target, [...command, '--config', target.config], { DBPW: canary })
        shown.push([`kymo ${command.join(' ')}`, output])
      }
      for (const [place, text] of shown) {
        if (text.includes(canary)) target.fault(`${place} shows ${reference.slice(2).split(':')[0]} at ${where}`)
      }
      if (target.over.aborted) return
    }
  }
  writeFileSync(target.config, before)
  await ask(target, 'POST', '/v1/reload')
}

/** Somebody else, and a group that is not ours. */
const stranger = 4242

/** Directories as another user of this machine makes them. */
const foreign = (mine: string): [what: string, make: (directory: string) => void][] => [
  [
    'that a group may write which is not ours',
    directory => (mkdirSync(directory), chownSync(directory, 0, stranger), chmodSync(directory, 0o770)),
  ],
  [
    "that is somebody else's",
    directory => (mkdirSync(directory, { mode: 0o700 }), chownSync(directory, stranger, stranger)),
  ],
  [
    "that is somebody else's link",
    directory => (symlinkSync(mine, directory), lchownSync(directory, stranger, stranger)),
  ],
]

/** F10. */
async function folders(target: Target): Promise<void> {
  const precious = join(target.folder, 'precious')
  const mine = join(target.folder, 'mine')
  mkdirSync(mine, { mode: 0o700 })
  const cases: [what: string, make: (directory: string) => void][] = [
    ['that others may write', directory => (mkdirSync(directory), chmodSync(directory, 0o777))],
    // Only root can give something away.
    ...(process.getuid?.() === 0 ? foreign(mine) : []),
    [
      'in which the lock is a link',
      directory => (mkdirSync(directory, { mode: 0o700 }), symlinkSync(precious, join(directory, 'lock.holder'))),
    ],
    [
      'in which the other lock is a link',
      directory => (mkdirSync(directory, { mode: 0o700 }), symlinkSync(precious, join(directory, 'lock'))),
    ],
  ]
  for (const [i, [what, make]] of cases.entries()) {
    writeFileSync(precious, 'mine')
    const directory = join(target.folder, `storage-${i}`)
    make(directory)
    const path = join(target.folder, `storage-${i}.yaml`)
    const config = {
      receivers: { otlp: { protocols: { http: { endpoint: '127.0.0.1:0' } } } },
      exporters: { otlp_grpc: { endpoint: '127.0.0.1:1', sending_queue: { storage: 'file_storage' } } },
      extensions: { file_storage: { directory } },
      service: {
        extensions: ['file_storage'],
        telemetry: { metrics: { level: 'none' } },
        pipelines: { logs: { receivers: ['otlp'], exporters: ['otlp_grpc'] } },
      },
    }
    writeFileSync(path, JSON.stringify(config))
    const inside = what.startsWith('in which')
    const { status } = kymo(target, ['run', '--config', path], {}, inside ? 5 : 30)
    // A link among what is ours is replaced or refused; what it points to stays as it is.
    if (!inside && (status === null || status === 0)) target.fault(`a storage ${what} is taken`)
    if (readFileSync(precious, 'utf8') !== 'mine') target.fault(`a storage ${what} overwrites a file elsewhere`)
  }
}

/** F11 and what is next to it. */
export async function otherNames(target: Target): Promise<void> {
  const { admin } = target.ports
  const evil = `evil.com:${admin}`
  const asking: [what: string, headers: Record<string, string>][] = [
    ['another name', { host: evil }],
    ['another name and its page', { host: evil, origin: `http://${evil}` }],
    ['a page', { host: `127.0.0.1:${admin}`, origin: `http://${evil}` }],
    ['a page without a name', { host: `127.0.0.1:${admin}`, origin: 'null' }],
    ['a name that ends as this one', { host: `127.0.0.1.evil.com:${admin}` }],
    ['two names', { host: `localhost@evil.com:${admin}` }],
  ]
  for (const [what, headers] of asking) {
    for (const [method, path] of [
      ['POST', '/v1/reload'],
      ['GET', '/status'],
      ['GET', '/v1/config'],
    ] as const) {
      const { status } = await ask(target, method, path, headers)
      if (status === 200) target.fault(`${method} ${path} for ${what} is answered`)
    }
  }
  const proxied: Record<string, string>[] = [
    { forwarded: 'for=1.2.3.4' },
    { via: '1.1 proxy' },
    { 'x-forwarded-for': '1.2.3.4' },
  ]
  for (const headers of proxied) {
    const { status } = await ask(target, 'POST', '/v1/reload', headers)
    if (status === 200) target.fault(`a reload through a proxy (${Object.keys(headers).join()}) is done`)
  }
}

/** Paths that lead elsewhere. */
export async function paths(target: Target): Promise<void> {
  for (const path of [
    '/../../../../etc/passwd',
    '/v1/batches/../../../../etc/passwd',
    '/v1/components/%2e%2e%2f%2e%2e%2fetc%2fpasswd',
    '/v1/components/..%5c..%5cetc',
    '//etc/passwd',
    '/v1/batches/%00',
    `/v1/components/${'%2e%2e/'.repeat(2000)}`,
    '/v1/batches?limit=1e999&since=__proto__',
    '/v1/batches?__proto__[polluted]=1',
  ]) {
    const { status, text } = await ask(target, 'GET', path)
    if (text.includes('root:') || status >= 500) target.fault(`${path.slice(0, 60)} is answered ${status}`)
  }
}

const bomb = Array.from({ length: 40 }, (_, i) => `b${i}: &b${i} [${i === 0 ? 'x' : `*b${i - 1}, *b${i - 1}`}]\n`).join(
  '',
)

/** Configurations that take long to read. */
const configurations: readonly [what: string, of: string, text: () => string][] = [
  ['aliases of aliases', 'held', () => bomb],
  [
    '20,000 keys',
    'weak',
    () => `processors:\n${Array.from({ length: 20_000 }, (_, i) => `  batch/${i}: {}\n`).join('')}`,
  ],
  ['20,000 keys that nobody knows', 'weak', () => Array.from({ length: 20_000 }, (_, i) => `key${i}: 1\n`).join('')],
  ['lists 5,000 deep', 'held', () => `a: ${'['.repeat(5000)}`],
  ['keys in keys in keys', 'held', () => `${'? '.repeat(600)}x`],
  ['50,000 references to the environment', 'weak', () => `a: "${'${env:DBPW}'.repeat(50_000)}"`],
  ['a word of a megabyte', 'held', () => `receivers: {${'x'.repeat(1_000_000)}: {}}`],
  [
    '10,000 names that are almost right',
    'weak',
    () => `receivers:\n${Array.from({ length: 10_000 }, (_, i) => `  otpl${i % 7}/${i}: {}\n`).join('')}`,
  ],
  [
    'a pattern that repeats repetitions',
    'F4',
    () => 'processors: {redaction: {blocked_values: ["((((a{0,99}){0,99}){0,99}){0,99}){0,99}"]}}',
  ],
]

const given = { authorization: `Bearer ${adminToken}`, 'content-type': 'application/yaml' }

/** The rows. */
export const peopleAttacks: readonly Attack[] = [
  {
    name: 'empty headers, and tokens that are not there',
    of: 'F3',
    victim: 'bearer tokens',
    seconds: 20,
    run: emptyTokens,
  },
  {
    name: 'wrong passwords at the cost of 12, on 20 connections',
    of: 'F8',
    victim: 'passwords',
    seconds: 10,
    run: wrongPasswords,
  },
  { name: 'values of the environment and of files where a number is wanted', of: 'F9', seconds: 60, run: secrets },
  { name: 'storage in folders of others', of: 'F10', seconds: 30, run: folders },
  {
    name: 'another name for the admin server on this machine (rebinding)',
    of: 'held',
    seconds: 10,
    run: otherNames,
  },
  {
    name: 'another name for an admin server on all addresses',
    of: 'F11',
    victim: 'admin for all',
    seconds: 10,
    run: otherNames,
  },
  {
    name: 'another name for an admin server on all addresses that has no token',
    of: 'F11',
    victim: 'admin for all, without a token',
    seconds: 10,
    run: otherNames,
  },
  { name: 'paths that lead out of the admin server', of: 'held', seconds: 10, run: paths },
  ...configurations.map(([what, of, text]): Attack => ({
    name: `a configuration of ${what}, sent to the admin server`,
    of,
    victim: 'admin with a token',
    seconds: 20,
    run: target =>
      repeat(target, 3, 1, async () => {
        const { status } = await ask(target, 'POST', '/v1/config?dry_run=true', given, text())
        if (status === 200) target.fault('it was taken')
      }),
  })),
]
