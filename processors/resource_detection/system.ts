import { readFileSync } from 'node:fs'
import { arch, networkInterfaces, hostname, platform, release, type, version } from 'node:os'
import { messageOf } from '../../core/errors.ts'
import type { Writable } from '../../proto/values.ts'
import { type Detected, type Detector, isOn, type Switches } from './detector.ts'
import { hostName, type HostNameSource } from './host-name.ts'

const onByDefault = ['host.name', 'os.type']

/** Everything the detector can find, and how. */
const readers: Readonly<Record<string, () => Writable>> = {
  'os.type': () => osTypes[platform()] ?? platform(),
  'os.description': () => `${osRelease('PRETTY_NAME')} (${type()} ${hostname()} ${release()} ${version()} ${arch()})`,
  'os.name': () => osRelease('NAME'),
  'os.version': () => osRelease('VERSION_ID'),
  'os.build.id': () => osRelease('BUILD_ID'),
  'host.id': machineId,
  'host.arch': () => architectures[arch()] ?? arch(),
  'host.ip': () => interfaces().map(({ address }) => address),
  'host.mac': () => [...new Set(interfaces().map(({ mac }) => mac.toUpperCase().replaceAll(':', '-')))],
  'host.interface': () => [...new Set(interfaces().map(({ name }) => name))],
  'host.cpu.vendor.id': () => cpu('vendor_id'),
  'host.cpu.family': () => cpu('cpu family'),
  'host.cpu.model.id': () => cpu('model'),
  'host.cpu.model.name': () => cpu('model name'),
  'host.cpu.stepping': () => cpu('stepping'),
  'host.cpu.cache.l2.size': () => Number.parseInt(cpu('cache size'), 10),
}

/** Names of the attributes that the system detector knows. */
export const systemAttributes: readonly string[] = ['host.name', ...Object.keys(readers)]

/** Platforms and architectures as OpenTelemetry calls them. */
const osTypes: Readonly<Record<string, string>> = { win32: 'windows', sunos: 'solaris' }
const architectures: Readonly<Record<string, string>> = { x64: 'amd64', arm: 'arm32', ia32: 'x86', ppc: 'ppc32' }

/** What this machine says of itself. */
export function systemDetector(switches: Switches, sources: readonly HostNameSource[]): Detector {
  const wanted = Object.entries(readers).filter(([name]) => isOn(switches, name, onByDefault))
  return {
    name: 'system',
    detect(abort) {
      const attributes = new Map<string, Writable>()
      const problems: string[] = []
      for (const [name, read] of wanted) {
        try {
          attributes.set(name, read())
        } catch (error) {
          problems.push(`${name}: ${messageOf(error)}`)
        }
      }
      const found = (): Detected => ({ attributes, problem: problems.length === 0 ? undefined : problems.join('; ') })
      if (!isOn(switches, 'host.name', onByDefault)) return found()
      if (sources[0] === 'os') {
        attributes.set('host.name', hostname())
        return found()
      }
      return hostName(sources, abort).then(
        name => {
          attributes.set('host.name', name)
          return found()
        },
        (error: unknown) => {
          problems.push(`host.name: ${messageOf(error)}`)
          return found()
        },
      )
    },
  }
}

/** Addresses that others can reach this machine at. */
function interfaces(): { readonly name: string; readonly address: string; readonly mac: string }[] {
  return Object.entries(networkInterfaces()).flatMap(([name, addresses = []]) =>
    addresses.filter(({ internal }) => !internal).map(({ address, mac }) => ({ name, address, mac })),
  )
}

function machineId(): string {
  for (const path of ['/etc/machine-id', '/var/lib/dbus/machine-id']) {
    try {
      const id = readFileSync(path, 'utf8').trim()
      if (id !== '') return id
    } catch {
      // The other file may be there.
    }
  }
  throw new Error('this machine has no id in `/etc/machine-id`')
}

function osRelease(key: string): string {
  const [, value] = new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(readFileSync('/etc/os-release', 'utf8')) ?? []
  if (value === undefined) throw new Error(`\`/etc/os-release\` has no \`${key}\``)
  return value
}

function cpu(key: string): string {
  const [, value] = new RegExp(`^${key}\\s*:\\s*(.*)$`, 'm').exec(readFileSync('/proc/cpuinfo', 'utf8')) ?? []
  if (value === undefined) throw new Error(`\`/proc/cpuinfo\` has no \`${key}\``)
  return value
}
