"""What is known of libraries by name: what blocks, what computes long, what starts a loop."""

from __future__ import annotations

import re
from typing import Literal

Effect = Literal["database", "blocking", "cpu", "loop"]

_BLOCKING = r"""
time\.sleep
requests\.(get|post|put|patch|delete|head|options|request)
requests\.(Session|session)\(\)(\.__enter__\(\))?\.(get|post|put|patch|delete|head|options|request|send)
httpx\.(get|post|put|patch|delete|head|options|request|stream)
httpx\.Client\(\)\.(get|post|put|patch|delete|head|options|request|send|stream)
urllib\.request\.(urlopen|urlretrieve)
urllib3\.(PoolManager\(\)\.)?(request|urlopen)
http\.client\.HTTPS?Connection\(\)\.(request|getresponse)
subprocess\.(run|call|check_call|check_output|getoutput|getstatusoutput)
subprocess\.Popen\(\)\.(wait|communicate)
os\.(system|wait|waitpid)
socket\.(create_connection|getaddrinfo|gethostbyname|gethostbyaddr)
socket\.socket\(\)\.(connect|accept|recv|recv_into|recvfrom|send|sendall)
smtplib\.(SMTP|SMTP_SSL)(\(\))*
smtplib\.(SMTP|SMTP_SSL)\(\)\.(connect|login|send_message|sendmail|starttls|quit)
ftplib\.FTP(_TLS)?\(\)
paramiko\.SSHClient\(\)\.(connect|exec_command)
boto3\.(client|resource)\(\)\.(?!generate_presigned|exceptions|meta)\w+
boto3\.[sS]ession(\.Session)?\(\)\.(client|resource)\(\)\.(?!generate_presigned|exceptions|meta)\w+
botocore\.client\.BaseClient\(\)\.\w+
(psycopg2|psycopg|pymysql|MySQLdb|sqlite3|pyodbc|cx_Oracle|oracledb|mysql\.connector)\.connect
(psycopg2|psycopg|pymysql|MySQLdb|sqlite3|pyodbc|oracledb|mysql\.connector)\.connect\(\)(\.cursor\(\))?\.(execute|executemany|fetchone|fetchall|fetchmany|commit|rollback)
redis\.(Redis|StrictRedis|from_url)(\.from_url)?\(\)\.(get|set|setex|delete|exists|incr|decr|expire|hget|hset|hgetall|lpush|rpush|lpop|rpop|publish|ping|sadd|smembers|keys|execute_command|xadd|xread|blpop|brpop)
pymongo\.MongoClient\(\)(\.\w+|\[\])*\.(find_one|insert_one|insert_many|update_one|update_many|delete_one|delete_many|aggregate|count_documents)
queue\.Queue\(\)\.(get|put|join)
threading\.(Thread|Event)\(\)\.(join|wait)
concurrent\.futures\.wait
builtins\.input
shutil\.(copytree|rmtree|make_archive|unpack_archive)
git\.Repo\.clone_from
stripe\.\w+\.(create|retrieve|list|modify|delete)
openai\.(OpenAI|Client)\(\)(\.\w+)*\.(create|generate|retrieve|list)
openai\.\w+\.create
anthropic\.(Anthropic|Client)\(\)(\.\w+)*\.create
twilio\.rest\.Client\(\)(\.\w+)*\.create
sendgrid\.SendGridAPIClient\(\)\.send
emails\.(Message|html)\(\)\.send
notifications_python_client(\.\w+)*\.NotificationsAPIClient\(\)\.(send_\w+|get_\w+|get|post)
"""

_CPU = r"""
bcrypt\.(hashpw|checkpw|kdf)
hashlib\.(pbkdf2_hmac|scrypt)
argon2\.PasswordHasher\(\)\.(hash|verify)
passlib\.context\.CryptContext\(\)\.(hash|verify|encrypt|verify_and_update)
passlib\.hash\.\w+\.(using\(\)\.)?(hash|verify|encrypt)
pwdlib\.PasswordHash(\.recommended)?\(\)\.(hash|verify|verify_and_update)
werkzeug\.security\.(generate_password_hash|check_password_hash)
PIL\.Image\.open\(\)(\.\w+\(\))*\.(save|resize|thumbnail|convert|rotate|crop|filter|transform|load)
PIL\.Image\.(Image\(\)|new\(\))(\.\w+\(\))*\.(save|resize|thumbnail|rotate|filter|transform)
PIL\.ImageOps\.(fit|contain|pad|exif_transpose|autocontrast)
pandas\.(read_csv|read_excel|read_parquet|read_sql|read_sql_query|read_sql_table|read_json|read_html|read_feather|read_pickle|merge|concat)
pandas\.(DataFrame|read_\w+|concat|merge)\(\)(\.\w+(\(\))?|\[\])*\.(groupby|merge|apply|pivot_table|sort_values|to_csv|to_excel|to_parquet|to_sql|to_json|describe)
polars\.(read_\w+|scan_\w+\(\)\.collect)
numpy\.linalg\.\w+
cv2\.(imread|resize|imdecode|imencode|cvtColor|GaussianBlur|warpAffine)
cryptography\.hazmat\.primitives\.kdf\.(pbkdf2|scrypt|argon2)\.\w+\(\)\.(derive|verify)
Crypto\.Protocol\.KDF\.(PBKDF2|scrypt|bcrypt)
gzip\.(compress|decompress)
bz2\.(compress|decompress)
lzma\.(compress|decompress)
zlib\.(compress|decompress)
sklearn\.(\w+\.)*\w+\(\)\.(fit|predict|fit_transform|predict_proba)
reportlab\.pdfgen\.canvas\.Canvas\(\)\.save
weasyprint\.HTML\(\)\.write_pdf
openpyxl\.load_workbook
openpyxl\.Workbook\(\)\.save
"""

_LOOP = r"""
asyncio\.run
asyncio\.Runner\(\)(\.__enter__\(\))?\.run
asyncio\.(get_event_loop|new_event_loop|get_running_loop|get_event_loop_policy\(\)\.new_event_loop)\(\)\.(run_until_complete|run_forever)
asyncio\.(AbstractEventLoop|BaseEventLoop)\(\)\.(run_until_complete|run_forever)
anyio\.run
trio\.run
uvloop\.run
"""


def _pattern(lines: str) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{line})" for line in lines.split()))


_PATTERNS: list[tuple[Effect, re.Pattern[str]]] = [
    ("blocking", _pattern(_BLOCKING)),
    ("cpu", _pattern(_CPU)),
    ("loop", _pattern(_LOOP)),
]


def effect_of(name: str) -> Effect | None:
    """What calling something outside the code base does to the thread that calls it."""
    for effect, pattern in _PATTERNS:
        if pattern.fullmatch(name):
            return effect
    return None


__all__ = ["Effect", "effect_of"]
