import { core } from './cluster.js';
import { run } from './shell.js';

/** A volume that can really be filled: a file system in memory of one of kind's nodes. */
export class SmallVolume {
  readonly storageClass: string;
  readonly #node: string;

  private constructor(name: string, node: string) {
    this.storageClass = name;
    this.#node = node;
  }

  static async make(name: string, { mib }: { mib: number }): Promise<SmallVolume> {
    const { items } = await core.listNode({ labelSelector: '!node-role.kubernetes.io/control-plane' });
    const node = items[0]?.metadata?.name ?? '';
    const path = `/mnt/${name}`;
    const mount = `mkdir -p ${path} && mount -t tmpfs -o size=${mib}m,mode=0777 tmpfs ${path}`;
    await run('docker', ['exec', node, 'sh', '-euc', mount]);
    await core.createPersistentVolume({
      body: {
        metadata: { name },
        spec: {
          storageClassName: name,
          capacity: { storage: `${mib}Mi` },
          accessModes: ['ReadWriteOnce'],
          persistentVolumeReclaimPolicy: 'Retain',
          local: { path },
          nodeAffinity: {
            required: {
              nodeSelectorTerms: [
                { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
              ],
            },
          },
        },
      },
    });
    return new SmallVolume(name, node);
  }

  /** Takes it away, and the claims on it in a namespace. */
  async remove(namespace: string): Promise<void> {
    const claims = await core.listNamespacedPersistentVolumeClaim({ namespace });
    for (const { metadata, spec } of claims.items) {
      if (spec?.storageClassName !== this.storageClass) continue;
      await core.deleteNamespacedPersistentVolumeClaim({ namespace, name: metadata?.name ?? '' });
    }
    await core.deletePersistentVolume({ name: this.storageClass });
    await run('docker', ['exec', this.#node, 'umount', '--lazy', `/mnt/${this.storageClass}`]);
  }
}
