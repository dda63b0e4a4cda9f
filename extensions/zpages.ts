import { createHash } from 'node:crypto'
import * as z from 'zod'
import { type ComponentContext, defineExtension } from '../core/component.ts'
import { texts } from '../core/fields.ts'
import { type RunningComponent, type Health, healthKey } from '../core/health.ts'
import { pageServer } from '../net/http-server-keys.ts'
import { pageHeaders } from '../net/page-headers.ts'
import { jsonPage, type Page } from '../net/page-server.ts'
import { PageListener } from './page-listener.ts'

const config = pageServer({ endpoint: 'localhost:55679' }).safeExtend({
  expvar: z
    .strictObject({ enabled: z.boolean().default(false).describe('Serve figures of the process as JSON.') })
    .prefault({})
    .describe('The page `/debug/expvarz`.'),
  allowed_hosts: texts()
    .default([])
    .describe(
      'Names that browsers may ask for besides `localhost`, addresses, and names that no page of the internet can have: ' +
        '`kymo.example.com`, `*.example.com`.',
    ),
})
type Config = z.output<typeof config>

/** Pages for whoever looks at one process from close by. */
export const zpages = defineExtension<Config>({
  type: 'zpages',
  stability: 'beta',
  runs: 'one',
  summary: 'Shows what runs in this process as small pages for a browser.',
  signals: [],
  config,
  examples: [{ title: 'For a browser on this machine', config: {} }],
  create: (config, context) =>
    new PageListener(config, context, path => pageAt(path, config, context), config.allowed_hosts),
})

function pageAt(path: string, config: Config, context: ComponentContext): Page | undefined {
  const health = context.host.get(healthKey)
  if (path === '/debug/expvarz' && config.expvar.enabled) return jsonPage(200, figures(health))
  const page = Object.hasOwn(pages, path) ? pages[path] : undefined
  return page && htmlPage(page(health, context.clock.wall()))
}

interface Shown {
  readonly title: string
  /** HTML. */
  readonly body: string
}

const pages: Readonly<Record<string, (health: Health, now: number) => Shown>> = {
  '/': index,
  '/debug': index,
  '/debug/': index,
  '/debug/servicez': servicePage,
  '/debug/pipelinez': pipelinesPage,
  '/debug/extensionz': extensionsPage,
  '/debug/featurez': () => ({
    title: 'Feature gates',
    body: paragraph(
      '`--feature-gates` takes the names of the Collector. `kymo featuregate` tells what each means here.',
    ),
  }),
  '/debug/tracez': () => ({
    title: 'Traces',
    body: paragraph(
      'This build keeps no spans of its own work. What happened to a batch of data stands in the journal, and counts ' +
        'of every component on the admin server, under `/metrics` and `/status`.',
    ),
  }),
}

function index(): Shown {
  const links = Object.keys(pages).filter(path => path.length > '/debug/'.length)
  const items = links.map(path => `<li><a href="${path}">${path}</a></li>`)
  return { title: 'Pages', body: `<ul>${items.join('')}</ul>` }
}

function servicePage(health: Health, now: number): Shown {
  const { version, started } = health
  const seconds = Math.round((now - started) / 1000)
  return {
    title: 'Service',
    body: table(
      ['', ''],
      [
        ['Version', version],
        ['Node', process.versions.node],
        ['Process', String(process.pid)],
        ['Phase', health.phase()],
        ['Takes data', health.ready() ? 'yes' : 'no'],
        ['Started', new Date(started).toISOString()],
        ['Up for', `${seconds} s`],
      ],
    ),
  }
}

function pipelinesPage(health: Health): Shown {
  const components = health.components()
  const rows = health.pipelines().map(({ id, receivers, processors, exporters }) => {
    const cell = (ids: readonly string[], ofPipeline?: string) =>
      ids.map(one => `${one}: ${stateOf(components, one, ofPipeline)}`).join('\n')
    return [id, cell(receivers), cell(processors, id), cell(exporters)]
  })
  return { title: 'Pipelines', body: table(['Pipeline', 'Receivers', 'Processors', 'Exporters'], rows) }
}

function stateOf(components: readonly RunningComponent[], id: string, pipeline: string | undefined): string {
  const found = components.filter(one => one.id === id && one.kind !== 'extension' && one.pipeline === pipeline)
  return [...new Set(found.map(({ status }) => status.state))].join(', ') || 'not running'
}

function extensionsPage(health: Health): Shown {
  const extensions = health.components().filter(({ kind }) => kind === 'extension')
  const rows = extensions.map(({ id, status }) => [
    id,
    status.state,
    new Date(status.since).toISOString(),
    status.lastError ?? '',
  ])
  return { title: 'Extensions', body: table(['Extension', 'State', 'Since', 'Last error'], rows) }
}

function figures({ version, started }: Health): object {
  return { version, started: new Date(started).toISOString(), memory: process.memoryUsage(), cpu: process.cpuUsage() }
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[], tag: string) =>
    `<tr>${cells.map(cell => `<${tag}>${escape(cell)}</${tag}>`).join('')}</tr>`
  return `<table>${line(head, 'th')}${rows.map(row => line(row, 'td')).join('')}</table>`
}

const paragraph = (text: string) => `<p>${escape(text).replace(/`([^`]*)`/g, '<code>$1</code>')}</p>`

const style =
  'body{font:14px system-ui;margin:2em}table{border-collapse:collapse}' +
  'td,th{border:1px solid #ccc;padding:4px 8px;text-align:left;white-space:pre-line;vertical-align:top}'

/** The style of our own, and nothing that a text on the page may bring along. */
const policy = `${pageHeaders['content-security-policy']}; style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`

function htmlPage({ title, body }: Shown): Page {
  const head = `<meta charset="utf-8"><title>${title} - Kymo</title><style>${style}</style>`
  const text = `<!doctype html><html lang="en"><head>${head}</head><body><h1>${title}</h1>${body}</body></html>`
  return { status: 200, type: 'text/html; charset=utf-8', text, headers: { 'content-security-policy': policy } }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
}

/** Ids are written by whoever writes the configuration, and error texts by anybody. */
function escape(text: string): string {
  return text.replace(/[&<>"']/g, character => entities[character] ?? character)
}
