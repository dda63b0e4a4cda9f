/** Certificates that cannot be used as they are: no error, since they may be there by the time they are needed. */
import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { faultOfAuthorities, faultOfIdentity, type TlsClientConfig, type TlsServerConfig } from '../net/tls.ts'
import { type Components, kinds } from './components.ts'
import { type ServiceSection, usedIn } from './pipelines.ts'
import type { Report } from './report.ts'
import { keysInRole, nameOf } from './roles.ts'

/** Warns of each certificate and key of what runs that is not there, is none, or does not go with the other. */
export function warnOfCertificates(components: Components, service: ServiceSection, report: Report): void {
  const used = usedIn(service)
  for (const kind of kinds) {
    for (const [id, section] of components[kind]) {
      if (!used[kind].has(id)) continue
      for (const one of keysInRole(section, 'certificates')) {
        // What its schema gives, which says that these are certificates.
        const fault = faultOf(one.value as TlsServerConfig | TlsClientConfig | undefined)
        const hint = 'until that is mended the certificate of before is used, where there is one; else nothing connects'
        if (fault !== undefined) report.warn('CONFIG_INVALID_VALUE', one.place, `${nameOf(one)}: ${fault}`, hint)
      }
    }
  }
}

/** Where not even the folders are there, the configuration is looked at for another machine. */
function isOfThisMachine(tls: TlsServerConfig | TlsClientConfig): boolean {
  const { cert_file, key_file, ca_file } = tls
  const files = [cert_file, key_file, ca_file, 'client_ca_file' in tls ? tls.client_ca_file : undefined]
  return files.every(file => file === undefined || existsSync(dirname(file)))
}

function faultOf(tls: TlsServerConfig | TlsClientConfig | undefined): string | undefined {
  if (tls === undefined || ('insecure' in tls && tls.insecure) || !isOfThisMachine(tls)) return undefined
  return faultOfIdentity(tls) ?? faultOfAuthorities(tls)
}
