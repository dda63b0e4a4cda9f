import { Account } from '../../core/account.ts'
import { budgetKey } from '../../core/budget.ts'
import { offered } from '../../core/capability.ts'
import { chronicleKey } from '../../core/chronicle.ts'
import { type ComponentContext, defineExtension, type Extension } from '../../core/component.ts'
import { storageKey } from '../../core/storage.ts'
import { realClock } from './clock.ts'
import { realFiles } from './files.ts'
import { type FileStorageConfig, keys } from './keys.ts'
import { FileStorage } from './storage.ts'

/** Keeps queues and checkpoints on disk. */
export const fileStorage = defineExtension<FileStorageConfig>({
  type: 'file_storage',
  stability: 'beta',
  runs: 'each',
  summary:
    'Keeps queues of exporters and how far receivers have read on disk, over crashes, power loss and long outages.',
  signals: [],
  exclusive: true,
  offers: [storageKey],
  config: keys,
  examples: [
    { title: 'In a directory of its own', config: { directory: '/var/lib/kymo/queues', create_directory: true } },
    {
      title: 'On a small disk, with dead letters kept for a day',
      config: {
        directory: '/data',
        max_size: '2GiB',
        max_age: '12h',
        dead_letters: { max_size: '100MiB', max_age: '24h' },
      },
    },
  ],
  create: (config, context) => new FileStorageExtension(config, context),
})

class FileStorageExtension implements Extension {
  readonly #config: FileStorageConfig
  readonly #context: ComponentContext
  #storage: FileStorage | undefined

  constructor(config: FileStorageConfig, context: ComponentContext) {
    this.#config = config
    this.#context = context
  }

  readonly offers = [
    offered(storageKey, () => {
      if (this.#storage === undefined) throw new Error(`\`${this.#context.id}\` has not started`)
      return this.#storage
    }),
  ]

  async start(): Promise<void> {
    const { id, log, status, host, worker } = this.#context
    const chronicle = host.find(chronicleKey)
    const config = this.#config
    const budget = host.get(budgetKey)
    const { pool } = budget
    if (config.compaction !== undefined) {
      log.info({}, '`compaction` is needless: space is given back without it')
    }
    if (!config.fsync)
      log.warn({}, '`fsync` is off: what is accepted survives the end of the process, not of the machine')
    const { dead_letters: dead } = config
    this.#storage = await FileStorage.open({
      directory: config.directory,
      worker: worker.index,
      createDirectory: config.create_directory,
      mode: Number.parseInt(config.directory_permissions, 8),
      lockTimeout: config.timeout,
      fsync: config.fsync,
      maxSize: config.max_size,
      maxAge: config.max_age,
      segmentSize: config.segment_size,
      syncTimeout: config.sync_timeout,
      deadLetters: dead.enabled ? { maxSize: dead.max_size, maxAge: dead.max_age } : undefined,
      files: realFiles,
      clock: realClock,
      log,
      allocate: size => pool.take(size),
      account: new Account(budget, 'extension', this.#context.id),
      onTrouble(trouble) {
        if (trouble === undefined) {
          log.info({}, 'the storage takes data again')
          chronicle?.note({ kind: 'storage', component: id, text: 'the storage takes data again' })
          status.set('OK')
        } else {
          log.error({ kind: trouble.kind, error: trouble.message }, 'the storage takes no data')
          const { kind, message } = trouble
          const text = `the storage takes no data: ${kind}`
          chronicle?.note({ kind: 'storage', component: id, text, detail: status.tell(message) })
          status.set('RecoverableError', message)
        }
      },
    })
  }

  async stop(): Promise<void> {
    await this.#storage?.close()
  }
}
