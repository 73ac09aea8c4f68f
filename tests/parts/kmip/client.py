"""client.py FOLDER PORT CREATE|REVOKE|DESTROY|SHOW NAME: what an administrator does with a key, by a KMIP client that isn't Coffer's"""
import os, sys
from kmip import enums
from kmip.core.attributes import Name
from kmip.core.factories.attributes import AttributeFactory
from kmip.pie.client import ProxyKmipClient

folder, port, what, name = sys.argv[1:]
attribute = AttributeFactory().create_attribute(
    enums.AttributeType.NAME, Name.create(name, enums.NameType.UNINTERPRETED_TEXT_STRING))
with ProxyKmipClient(
        hostname="127.0.0.1", port=int(port), cert=f"{folder}/client/tls.crt", key=f"{folder}/client/tls.key",
        ca=f"{folder}/ca.crt", ssl_version="PROTOCOL_TLSv1_2", kmip_version=enums.KMIPVersion.KMIP_1_4,
        config="none", config_file=os.devnull) as client:
    ids = client.locate(attributes=[attribute])
    if what == "CREATE":
        mask = [enums.CryptographicUsageMask.ENCRYPT, enums.CryptographicUsageMask.DECRYPT]
        print(client.create(enums.CryptographicAlgorithm.AES, 256, name=name, cryptographic_usage_mask=mask))
    for id in ids:
        if what == "REVOKE":
            client.revoke(enums.RevocationReasonCode.CESSATION_OF_OPERATION, id)
        if what == "DESTROY":
            client.destroy(id)
        if what == "SHOW":
            _, found = client.get_attributes(id, ["Cryptographic Algorithm", "Cryptographic Length", "State"])
            print(*[attribute.attribute_value for attribute in found])
