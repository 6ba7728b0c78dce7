import django.db.models.deletion
import kernel.identifiers
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        ('accounts', '__first__'),
        ('auth', '0012_alter_user_first_name_max_length'),
    ]

    operations = [
        migrations.CreateModel(
            name='Blob',
            fields=[
                ('digest', models.CharField(max_length=64, primary_key=True, serialize=False)),
                ('size', models.BigIntegerField()),
                ('stored_at', models.DateTimeField()),
            ],
        ),
        migrations.CreateModel(
            name='Environment',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.SlugField(max_length=40, unique=True)),
                ('title', models.CharField(max_length=100)),
            ],
        ),
        migrations.CreateModel(
            name='LegalEntity',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('slug', models.SlugField(max_length=60, unique=True)),
                ('name', models.CharField(max_length=200)),
            ],
            options={
                'verbose_name_plural': 'legal entities',
            },
        ),
        migrations.CreateModel(
            name='Portfolio',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('slug', models.SlugField(max_length=60, unique=True)),
                ('name', models.CharField(max_length=200)),
            ],
        ),
        migrations.CreateModel(
            name='Dataset',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.SlugField(max_length=100, unique=True)),
                ('title', models.CharField(max_length=200)),
                ('digest', models.CharField(max_length=64, unique=True)),
                ('digest_of', models.CharField(choices=[('bytes', 'Bytes of the file'), ('rows', 'Rows, wherever they are'), ('relation', 'Name of the relation alone')], default='bytes', max_length=8)),
                ('location', models.JSONField(null=True)),
                ('media_type', models.CharField(max_length=100)),
                ('rows', models.BigIntegerField(null=True)),
                ('columns', models.JSONField(default=list, help_text='[{"name", "type"}]')),
                ('source', models.TextField(blank=True)),
                ('licence', models.CharField(blank=True, max_length=200)),
                ('collected_from', models.DateField(null=True)),
                ('collected_until', models.DateField(null=True)),
                ('contains_personal_data', models.BooleanField()),
                ('registered_at', models.DateTimeField()),
                ('blob', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.blob')),
                ('registered_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(('digest_of', 'bytes'), models.Q(('blob', None), ('digest_of__in', ['rows', 'relation']), ('location__isnull', False)), _connector='OR'), name='rows_have_a_place')],
            },
        ),
        migrations.CreateModel(
            name='EnvironmentSetting',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('observe', 'Observe'), ('warn', 'Warn'), ('enforce', 'Enforce')], max_length=8)),
                ('position', models.PositiveSmallIntegerField()),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField(null=True)),
                ('decided_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='settings', to='registry.environment')),
                ('seconded_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('until', None)), fields=('environment',), name='one_current_setting'), models.CheckConstraint(condition=models.Q(('mode__in', ['observe', 'warn', 'enforce'])), name='mode_known'), models.CheckConstraint(condition=models.Q(('seconded_by', None), models.Q(('seconded_by', models.F('decided_by')), _negated=True), _connector='OR'), name='setting_second_person')],
            },
        ),
        migrations.CreateModel(
            name='ModelVersion',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('number', models.PositiveIntegerField()),
                ('label', models.CharField(blank=True, max_length=100)),
                ('revision', models.PositiveIntegerField(default=1)),
                ('artifact_digest', models.CharField(max_length=64)),
                ('artifact_name', models.CharField(max_length=200)),
                ('artifact_format', models.CharField(max_length=24)),
                ('input_spec', models.JSONField(help_text='features, encodings and threshold that scoring needs; null if unknown', null=True)),
                ('code_commit', models.CharField(max_length=64)),
                ('code_repository', models.CharField(blank=True, max_length=300)),
                ('parameters', models.JSONField(default=dict)),
                ('environment', models.JSONField(default=dict, help_text='the libraries it was trained with')),
                ('claims', models.JSONField(default=list, help_text='metrics as the developer states them')),
                ('description', models.TextField(blank=True)),
                ('registered_at', models.DateTimeField()),
                ('frozen_at', models.DateTimeField(help_text='submitted: new evidence is an addendum', null=True)),
                ('moment', models.DateTimeField(help_text='the newest recorded time; strictly increasing')),
                ('retired_at', models.DateTimeField(null=True)),
                ('artifact', models.ForeignKey(help_text='null: registered by digest alone', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to='registry.blob')),
                ('author', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='authored_versions', to=settings.AUTH_USER_MODEL)),
                ('last_edited_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('parent', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='successors', to='registry.modelversion')),
                ('registered_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'ordering': ['model', '-number'],
            },
        ),
        migrations.CreateModel(
            name='Evidence',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(max_length=40)),
                ('name', models.CharField(max_length=200)),
                ('media_type', models.CharField(max_length=100)),
                ('added_at', models.DateTimeField()),
                ('is_addendum', models.BooleanField(default=False, help_text='added after submission')),
                ('revision', models.PositiveIntegerField(help_text='of the version, once this was added')),
                ('added_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('blob', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='evidence', to='registry.blob')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='evidence', to='registry.modelversion')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='DatasetUse',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('purpose', models.CharField(choices=[('training', 'Training'), ('validation', 'Validation'), ('test', 'Test'), ('reference', 'Reference'), ('production', 'Production')], max_length=12)),
                ('dataset', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='registry.dataset')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='dataset_uses', to='registry.modelversion')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('version', 'dataset', 'purpose'), name='dataset_use_once')],
            },
        ),
        migrations.CreateModel(
            name='ModeProposal',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('mode', models.CharField(choices=[('observe', 'Observe'), ('warn', 'Warn'), ('enforce', 'Enforce')], max_length=8)),
                ('reason', models.TextField()),
                ('proposed_at', models.DateTimeField()),
                ('closed_at', models.DateTimeField(null=True)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='mode_proposals', to='registry.environment')),
                ('proposed_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('setting', models.OneToOneField(help_text='null once closed: overtaken by another change', null=True, on_delete=django.db.models.deletion.PROTECT, related_name='proposal', to='registry.environmentsetting')),
            ],
            options={
                'ordering': ['-proposed_at'],
                'constraints': [models.UniqueConstraint(condition=models.Q(('closed_at', None)), fields=('environment',), name='one_open_mode_proposal')],
            },
        ),
        migrations.CreateModel(
            name='RegisteredModel',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.SlugField(help_text='never changes', max_length=80, unique=True)),
                ('title', models.CharField(max_length=200)),
                ('kind', models.CharField(max_length=24)),
                ('description', models.TextField(blank=True)),
                ('last_number', models.PositiveIntegerField(default=0, help_text='of the newest version')),
                ('created_at', models.DateTimeField()),
                ('retired_at', models.DateTimeField(null=True)),
                ('created_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('legal_entity', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='models', to='registry.legalentity')),
                ('portfolio', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='models', to='registry.portfolio')),
            ],
            options={
                'ordering': ['name'],
                'permissions': [('role_developer', 'Developer'), ('role_owner', 'Model owner'), ('role_validator', 'Validator'), ('role_risk_officer', 'Risk officer'), ('role_operator', 'Operator'), ('role_auditor', 'Auditor'), ('role_administrator', 'Administrator')],
            },
        ),
        migrations.AddField(
            model_name='modelversion',
            name='model',
            field=models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='versions', to='registry.registeredmodel'),
        ),
        migrations.CreateModel(
            name='ColumnMapping',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('columns', models.JSONField()),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField(null=True)),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='column_mappings', to='registry.registeredmodel')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('until', None)), fields=('model',), name='one_current_mapping')],
            },
        ),
        migrations.CreateModel(
            name='RegisteredModelUserPermission',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('content_object', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='registry.registeredmodel')),
                ('permission', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to='auth.permission')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'abstract': False,
            },
        ),
        migrations.CreateModel(
            name='RevisionChange',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('revision', models.PositiveIntegerField()),
                ('at', models.DateTimeField()),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='revision_changes', to='registry.modelversion')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('version', 'revision'), name='revision_change_once')],
            },
        ),
        migrations.CreateModel(
            name='RoleGrant',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('role', models.CharField(choices=[('developer', 'Developer'), ('owner', 'Model owner'), ('validator', 'Validator'), ('risk_officer', 'Risk officer'), ('operator', 'Operator'), ('auditor', 'Auditor'), ('administrator', 'Administrator')], max_length=16)),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField(null=True)),
                ('granted_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('model', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='registry.registeredmodel')),
                ('portfolio', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='grants', to='registry.portfolio')),
                ('user', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='role_grants', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'constraints': [models.CheckConstraint(condition=models.Q(models.Q(('model', None), ('portfolio__isnull', False)), models.Q(('model__isnull', False), ('portfolio', None)), _connector='OR'), name='grant_on_model_or_portfolio'), models.CheckConstraint(condition=models.Q(('role__in', ['developer', 'owner', 'validator', 'risk_officer', 'operator', 'auditor', 'administrator'])), name='grant_role_known'), models.UniqueConstraint(condition=models.Q(('portfolio', None), ('until', None)), fields=('user', 'role', 'model'), name='one_current_grant_on_model'), models.UniqueConstraint(condition=models.Q(('model', None), ('until', None)), fields=('user', 'role', 'portfolio'), name='one_current_grant_on_portfolio'), models.CheckConstraint(condition=models.Q(('until', None), ('until__gte', models.F('since')), _connector='OR'), name='grant_ends_after_start')],
            },
        ),
        migrations.CreateModel(
            name='Stakeholder',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.CharField(max_length=200)),
                ('interest', models.CharField(max_length=300)),
                ('contact', models.CharField(blank=True, max_length=200)),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField(null=True)),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='stakeholders', to='registry.registeredmodel')),
            ],
            options={
                'ordering': ['id'],
            },
        ),
        migrations.CreateModel(
            name='Use',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('name', models.SlugField(default='default', max_length=60)),
                ('purpose', models.TextField()),
                ('excluded_uses', models.JSONField(default=list)),
                ('success_criteria', models.JSONField(default=list)),
                ('affected_people', models.TextField()),
                ('decision_rule', models.JSONField(default=dict, help_text='threshold, post-processing')),
                ('exposure', models.TextField(blank=True)),
                ('operator_role', models.CharField(choices=[('provider', 'Provider'), ('deployer', 'Deployer')], max_length=8)),
                ('is_default', models.BooleanField(default=False)),
                ('created_at', models.DateTimeField()),
                ('retired_at', models.DateTimeField(null=True)),
                ('legal_entity', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='registry.legalentity')),
                ('model', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='uses', to='registry.registeredmodel')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('model', 'name'), name='use_name_once'), models.UniqueConstraint(condition=models.Q(('is_default', True)), fields=('model',), name='one_default_use')],
            },
        ),
        migrations.CreateModel(
            name='Deployment',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('kind', models.CharField(choices=[('champion', 'Champion'), ('challenger', 'Challenger'), ('shadow', 'Shadow'), ('canary', 'Canary'), ('fallback', 'Fallback'), ('batch', 'Batch')], default='champion', max_length=10)),
                ('artifact_digest', models.CharField(max_length=64)),
                ('gate_decision_id', models.UUIDField(help_text='null: deployed without asking', null=True)),
                ('is_rollback', models.BooleanField(default=False)),
                ('live_from', models.DateTimeField()),
                ('live_until', models.DateTimeField(null=True)),
                ('reported_by', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('environment', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deployments', to='registry.environment')),
                ('version', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deployments', to='registry.modelversion')),
                ('use', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='deployments', to='registry.use')),
            ],
            options={
                'ordering': ['-live_from'],
                'indexes': [models.Index(fields=['environment', 'use', 'live_from'], name='registry_de_environ_87a1fc_idx')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('kind', 'champion'), ('live_until', None)), fields=('use', 'environment'), name='one_live_champion')],
            },
        ),
        migrations.CreateModel(
            name='UseTier',
            fields=[
                ('id', models.UUIDField(default=kernel.identifiers.uuid7, editable=False, primary_key=True, serialize=False)),
                ('tier', models.PositiveSmallIntegerField()),
                ('reason', models.TextField()),
                ('since', models.DateTimeField()),
                ('until', models.DateTimeField(null=True)),
                ('set_by', models.ForeignKey(null=True, on_delete=django.db.models.deletion.PROTECT, related_name='+', to=settings.AUTH_USER_MODEL)),
                ('use', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='tiers', to='registry.use')),
            ],
            options={
                'constraints': [models.UniqueConstraint(condition=models.Q(('until', None)), fields=('use',), name='one_current_tier'), models.CheckConstraint(condition=models.Q(('tier__gte', 1), ('tier__lte', 4)), name='tier_1_to_4')],
            },
        ),
        migrations.CreateModel(
            name='DatasetLineage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('transformation', models.TextField()),
                ('child', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='sources', to='registry.dataset')),
                ('parent', models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, related_name='derived', to='registry.dataset')),
            ],
            options={
                'constraints': [models.UniqueConstraint(fields=('parent', 'child'), name='lineage_once'), models.CheckConstraint(condition=models.Q(('parent', models.F('child')), _negated=True), name='not_its_own_source')],
            },
        ),
        migrations.AddIndex(
            model_name='modelversion',
            index=models.Index(fields=['artifact_digest'], name='registry_mo_artifac_269919_idx'),
        ),
        migrations.AddConstraint(
            model_name='modelversion',
            constraint=models.UniqueConstraint(fields=('model', 'number'), name='version_number_once'),
        ),
        migrations.AddConstraint(
            model_name='modelversion',
            constraint=models.UniqueConstraint(fields=('model', 'artifact_digest'), name='digest_once_a_model'),
        ),
        migrations.AlterUniqueTogether(
            name='registeredmodeluserpermission',
            unique_together={('user', 'permission', 'content_object')},
        ),
    ]
